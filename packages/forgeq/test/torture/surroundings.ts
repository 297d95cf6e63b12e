// What the handlers of a torture run find in their environment, in whichever thread or process they are loaded.
const folderName = 'TORTURE_FOLDER'
const homeName = 'TORTURE_HOME'

export interface Surroundings {
  /** Of the histories. */
  readonly folder: string
  /** The worker process that this one is, or belongs to. */
  readonly home: number
}

/** For a worker process, before it loads handlers; what it starts inherits them. */
export function setSurroundings(folder: string): void {
  process.env[folderName] = folder
  process.env[homeName] = String(process.pid)
}

export const readSurroundings = (): Surroundings => ({
  folder: process.env[folderName]!,
  home: Number(process.env[homeName]),
})
