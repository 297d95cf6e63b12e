/** Where handlers are looked for when nothing is said. */
export const defaultFolder = 'jobs'
