// Turns the `ts` and `js` blocks of all pages into modules and compiles them in one go, as a project that has installed
// the package. Code keeps its line numbers, so that a complaint of the compiler names a line of the page.
import { execFile } from 'node:child_process'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { root, type Page } from './pages.ts'
import { programsOf, textOf } from './programs.ts'

const options = {
  compilerOptions: {
    target: 'es2023',
    lib: ['es2023'],
    types: ['node'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
    skipLibCheck: true,
    rootDir: 'written',
    outDir: 'run',
  },
  include: ['written'],
}

export interface Compiled {
  /** Where the page is tried out: its modules are there, built. */
  folderOf(page: Page): string
  /** What the compiler has against a page, each with its line. */
  complaintsAbout(page: Page): string[]
}

const folderName = (page: Page): string => page.path.replace(/\.md$/, '').replaceAll('/', '-')

export async function compilePages(pages: readonly Page[], folder: string): Promise<Compiled> {
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module' }))
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options))
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  for (const page of pages) {
    mkdirSync(join(folder, 'run', folderName(page)), { recursive: true })
    for (const program of programsOf(page)) {
      // Plain JavaScript is run as it is.
      const path = join(folder, program.module.endsWith('js') ? 'run' : 'written', folderName(page), program.module)
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, textOf(program))
    }
  }
  const complaints = await compile(folder)
  return {
    folderOf: (page) => join(folder, 'run', folderName(page)),
    complaintsAbout: (page) => complaints.filter((line) => line.startsWith(`written/${folderName(page)}/`)),
  }
}

async function compile(folder: string): Promise<string[]> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  try {
    await promisify(execFile)(process.execPath, [compiler, '--pretty', 'false'], { cwd: folder })
    return []
  } catch (error) {
    const { stdout } = error as { stdout?: string }
    if (!stdout) throw error
    return stdout.split('\n').filter((line) => line !== '')
  }
}
