// The second generation of the TypeScript SDK on node:http, as in its
// documentation: one handler, which makes a server for each request.
import { createServer } from 'node:http';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { McpServer, OAuthError, OAuthErrorCode, createMcpHandler, requireBearerAuth } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { addTools, announce, settings, verifier } from './entra.mjs';

const input = z.object({ text: z.string().describe('the text to look for'), limit: z.number().int().optional().describe('how many to return at most; 20 if left out') });
const output = z.object({ notes: z.array(z.object({ id: z.string(), title: z.string() })).describe('what was found') });

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'bench', version: '1.0' });
  addTools(server, input, output);
  return server;
});
const gate = requireBearerAuth({
  verifier: verifier((message) => new OAuthError(OAuthErrorCode.InvalidToken, message)),
  requiredScopes: [settings.scope],
});
const mcp = toNodeHandler({
  async fetch(request, options) {
    const authInfo = await gate(request);
    return authInfo instanceof Response ? authInfo : handler.fetch(request, { ...options, authInfo });
  },
});
const [validHost, validOrigin] = [localhostHostValidation(), localhostOriginValidation()];
const server = createServer((req, res) => {
  if (validHost(req, res) && validOrigin(req, res)) mcp(req, res);
}).listen(0, '127.0.0.1', () => announce(server));
