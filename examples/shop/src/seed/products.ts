// What the shop sells: name, price, and the outline its photo shows (SVG in a box of 400 x 300).
export interface Product {
  readonly name: string
  readonly cents: number
  readonly color: string
  readonly outline: string
}

export const products: readonly Product[] = [
  {
    name: 'Desk lamp',
    cents: 4990,
    color: '#d9822b',
    outline:
      '<path d="M140 130h120L230 60h-60z"/><path d="M195 130h10v110h-10z"/><ellipse cx="200" cy="242" rx="55" ry="12"/>',
  },
  {
    name: 'Coffee mug',
    cents: 1250,
    color: '#3f7fbf',
    outline:
      '<rect x="130" y="90" width="120" height="150" rx="14"/><path d="M250 120a42 42 0 0 1 0 84v-22a20 20 0 0 0 0-40z"/>',
  },
  {
    name: 'Wall clock',
    cents: 3500,
    color: '#5a6b7b',
    outline:
      '<path fill-rule="evenodd" d="M200 50a100 100 0 1 0 .1 0zm0 18a82 82 0 1 1-.1 0z"/><path d="M194 90h12v62l46 30-7 10-51-34z"/>',
  },
  {
    name: 'Vase "Öland"',
    cents: 6800,
    color: '#8e5ba6',
    outline: '<path d="M165 50h70v30c0 30 45 55 45 105 0 40-35 65-80 65s-80-25-80-65c0-50 45-75 45-105z"/>',
  },
  {
    name: 'Armchair',
    cents: 32900,
    color: '#b5524a',
    outline:
      '<path d="M120 60h160v90h25v75h-25v20h-20v-20H140v20h-20v-20H95v-75h25zM140 150h120v35H140z" fill-rule="evenodd"/>',
  },
  {
    name: 'Bookshelf, oak',
    cents: 18900,
    color: '#9c7a4d',
    outline: '<path fill-rule="evenodd" d="M110 40h180v220H110zm14 14v56h152V54zm0 70v56h152v-56zm0 70v52h152v-52z"/>',
  },
  {
    name: 'Candle, 3 wicks',
    cents: 990,
    color: '#c9a227',
    outline:
      '<rect x="130" y="140" width="140" height="110" rx="8"/><path d="M150 130c-14-20 0-34 0-50 14 16 14 36 0 50zm50 0c-14-20 0-34 0-50 14 16 14 36 0 50zm50 0c-14-20 0-34 0-50 14 16 14 36 0 50z"/>',
  },
  {
    name: 'Water bottle',
    cents: 2190,
    color: '#2f9e8f',
    outline:
      '<path d="M180 40h40v30h-40zM175 78h50c0 20 25 30 25 60v105q0 17-17 17h-66q-17 0-17-17V138c0-30 25-40 25-60z"/>',
  },
  {
    name: 'Plant pot',
    cents: 1590,
    color: '#6d9b3a',
    outline:
      '<path d="M135 160h130l-18 95h-94z"/><path d="M195 155C120 150 110 90 120 60c50 10 78 45 80 80 5-45 40-80 85-85 5 55-30 95-75 100z"/>',
  },
  {
    name: 'Picture frame',
    cents: 2490,
    color: '#444b54',
    outline:
      '<path fill-rule="evenodd" d="M110 60h180v180H110zm20 20v140h140V80z"/><path d="M140 210l45-70 30 40 20-25 25 55z"/><circle cx="230" cy="110" r="14"/>',
  },
  {
    name: 'Backpack',
    cents: 7990,
    color: '#37589b',
    outline:
      '<path d="M170 70a30 30 0 0 1 60 0h-14a16 16 0 0 0-32 0z"/><rect x="130" y="70" width="140" height="180" rx="40"/><rect x="150" y="165" width="100" height="60" rx="10" fill="#0004"/>',
  },
  {
    name: 'Desk & chair set',
    cents: 41900,
    color: '#7b5e57',
    outline: '<path d="M80 110h180v14h-12v126h-14V124H106v126H92V124H80zM300 90h14v160h-14v-70h-40v70h-14v-86h54z"/>',
  },
]
