#!/usr/bin/env node
// The command's entry: kept outside dist, so that npm links it in a checkout that is not built yet.
import '../dist/cli/main.js'
