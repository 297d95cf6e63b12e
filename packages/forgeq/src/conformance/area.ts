// Turns a table of sentences and scenes into the cases of one area.
import type { Capability } from '../store/store.ts'
import type { Case } from './case.ts'
import { Scene } from './scene.ts'

type Play = (scene: Scene) => Promise<void>

export const area = (
  name: string,
  plays: Readonly<Record<string, Play>>,
  needs?: readonly Capability[],
): readonly Case[] =>
  Object.entries(plays).map(([sentence, play]) => ({
    area: name,
    name: sentence,
    ...(needs && { needs }),
    run: (tools) => play(new Scene(tools)),
  }))
