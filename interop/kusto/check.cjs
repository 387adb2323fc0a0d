// Parses and analyzes KQL with Microsoft's own parser. Standard input is
// {"tables": {"T": "(a:string)"}, "queries": {"name": "T | take 1"}}; standard output says what is
// wrong with each query: {"name": ["line 1: …"]}.
'use strict'
const { readFileSync } = require('node:fs')

globalThis.Bridge = require('@kusto/language-service-next/bridge.js') // the parser's runtime: it expects a global
require('@kusto/language-service-next')
const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language

const { tables, queries } = JSON.parse(readFileSync(0, 'utf8'))
const symbols = Object.entries(tables).map(([name, columns]) => Symbols.TableSymbol.From(columns).WithName(name))
const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1('workspace', symbols))

function faults(query) {
  const found = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics()
  return Array.from({ length: found.Count }, (_, i) => {
    const { Start, Message } = found.getItem(i)
    return `line ${query.slice(0, Start).split('\n').length}: ${Message}`
  })
}

process.stdout.write(JSON.stringify(Object.fromEntries(Object.entries(queries).map(([name, query]) => [name, faults(query)]))))
