import { DurableObject } from 'cloudflare:workers'

export class CarveSession extends DurableObject<Env> {
  erase(_number: number): void {}
}
