// The environment of a program that is tried out: nothing of this test run reaches it.

export const plainEnv = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(FORGEQ_|NODE_|npm_)/.test(name))),
  NO_COLOR: '1',
})
