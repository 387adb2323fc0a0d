// The first generation of the TypeScript SDK with express, stateless as in its
// example: a server and a transport for each request.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js';
import { z } from 'zod';
import { addTools, announce, settings, verifier } from './entra.mjs';

const input = { text: z.string().describe('the text to look for'), limit: z.number().int().optional().describe('how many to return at most; 20 if left out') };
const output = { notes: z.array(z.object({ id: z.string(), title: z.string() })).describe('what was found') };

const app = createMcpExpressApp();
const authorized = requireBearerAuth({
  verifier: verifier((message) => new InvalidTokenError(message)),
  requiredScopes: [settings.scope],
});
app.post('/mcp', authorized, async (req, res) => {
  const server = new McpServer({ name: 'bench', version: '1.0' });
  addTools(server, input, output);
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined });
  res.on('close', () => {
    transport.close();
    server.close();
  });
  await server.connect(transport);
  await transport.handleRequest(req, res, req.body);
});
const server = app.listen(0, '127.0.0.1', () => announce(server));
