import { DurableObject } from 'cloudflare:workers'

export class Archive extends DurableObject<Env> {
  erase(_number: number): void {}
}
