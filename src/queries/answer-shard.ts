import { DurableObject } from 'cloudflare:workers'

export class AnswerShard extends DurableObject<Env> {
  erase(_number: number): void {}
}
