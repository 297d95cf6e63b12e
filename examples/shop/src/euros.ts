// Money as people read it.
const format = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' })

export const euros = (cents: number): string => format.format(cents / 100)
