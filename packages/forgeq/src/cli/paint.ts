// Colours for people: none where output is piped or NO_COLOR is set.
import type { State } from '../core/states.ts'

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan'

const codes: Record<Style, number> = {
  bold: 1,
  dim: 2,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
}

export type Paint = (style: Style, text: string) => string

interface Output {
  readonly isTTY?: boolean
  hasColors?(): boolean
}

/** For one stream: https://no-color.org, https://force-color.org, and what the terminal can do. */
export function paintFor(stream: Output, env: NodeJS.ProcessEnv = process.env): Paint {
  const isOn = env['NO_COLOR'] ? false : env['FORCE_COLOR'] ? env['FORCE_COLOR'] !== '0' : isColourful(stream)
  return isOn ? (style, text) => `\u001B[${codes[style]}m${text}\u001B[0m` : (_style, text) => text
}

const isColourful = (stream: Output): boolean => stream.isTTY === true && (stream.hasColors?.() ?? true)

const stateStyles: Record<State, Style> = {
  scheduled: 'cyan',
  blocked: 'magenta',
  ready: 'blue',
  running: 'yellow',
  completed: 'green',
  dead: 'red',
  cancelled: 'dim',
}

export const paintState = (paint: Paint, state: State): string => paint(stateStyles[state], state)
