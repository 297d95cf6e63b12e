// The folder whose modules are meant when no handlers are named.

/** Relative to the working folder. */
export const defaultFolder = 'jobs'
