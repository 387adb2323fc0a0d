// What the scripts have in common: the steps, and an OAuth client whose user is at the desk.
const { MCP_URL, DESK_URL, CLIENT_ID, CLIENT_SECRET, CLIENT_METADATA_URL, STEPS } = process.env;

export const url = new URL(MCP_URL);

export function say(step, text) {
  console.log(JSON.stringify({ step, text }));
}

async function desk(path) {
  const response = await fetch(DESK_URL + path, { method: 'POST' });
  if (!response.ok) throw new Error(`the desk: ${response.status} ${await response.text()}`);
  return response;
}

/** Opens a page in the user's browser and returns where it was sent at last. */
async function open(address) {
  const { back } = await (await desk('/open?url=' + encodeURIComponent(address))).json();
  return new URL(back);
}

/** Opens a consent page; the browser then goes on to the server's own page. */
export async function consent(address) {
  const back = await open(address);
  const page = await fetch(back);
  if (!page.ok) throw new Error(`${back.pathname}: ${page.status}`);
}

/**
 * An OAuth client: registered beforehand with CLIENT_ID, known by its document with
 * CLIENT_METADATA_URL; without either it registers itself. Registered beforehand, it says in a
 * refresh which scopes it wants, which the SDKs don't and Entra demands, unless it is to be as it is.
 */
export class Provider {
  constructor() {
    if (!CLIENT_ID || process.argv.includes('as-it-is')) this.addClientAuthentication = undefined;
  }
  redirectUrl = 'http://localhost:33418/callback';
  clientMetadataUrl = CLIENT_METADATA_URL;
  clientMetadata = {
    client_name: 'interop',
    redirect_uris: [this.redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  };
  registered = CLIENT_ID && { client_id: CLIENT_ID, client_secret: CLIENT_SECRET };
  state() { return (this.expected = crypto.randomUUID()); }
  clientInformation() { return this.registered; }
  saveClientInformation(information) { this.registered = information; }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  codeVerifier() { return this.verifier; }
  invalidateCredentials(scope) {
    if (scope === 'all' || scope === 'client') this.registered = undefined;
    if (scope === 'all' || scope === 'tokens') this.saved = undefined;
  }
  addClientAuthentication = (_headers, params) => {
    params.set('client_id', CLIENT_ID);
    if (params.get('grant_type') === 'refresh_token') params.set('scope', this.saved.scope + ' offline_access');
  };
  async redirectToAuthorization(address) {
    this.back = (await open(address)).searchParams;
    if (this.back.get('state') !== this.expected) throw new Error(`state: ${this.back}`);
    if (!this.back.get('code')) throw new Error(`no code: ${this.back}`);
  }
}

export const text = (result) => result.content.map((c) => c.text).join(' ');

/**
 * Does all the steps, or those that STEPS names. call(name, onprogress) calls a tool; a step that fails says why
 * and the next goes on.
 */
export async function perform({ protocol, listTools, call }) {
  say('connect', protocol);
  const wanted = STEPS?.split(' ');
  const step = async (name, does) => {
    if (wanted && !wanted.includes(name)) return;
    try {
      say(name, await does());
    } catch (error) {
      say(name, `${error.name}: ${error.message}`);
      console.error(name, error);
    }
  };
  const ping = async () => JSON.parse(text(await call('secure_ping'))).message;
  await step('list', async () => (await listTools()).tools.map((t) => t.name).sort().join(' '));
  await step('call', ping);
  await step('consent', async () => JSON.parse(text(await call('read_blob_with_token', { blob_path: 'hello.txt' }))).text);
  await step('count', async () => {
    const seen = [];
    const result = await call('count', {}, (p) => seen.push(p.progress));
    return [...seen, text(result)].join(' ');
  });
  await step('greet', async () => text(await call('greet')));
  await step('delete', async () => {
    const ends = [];
    for (const blob_path of ['yes.txt', 'no.txt']) {
      const { etag } = JSON.parse(text(await call('stat_blob', { blob_path })));
      const { outcome, reason } = JSON.parse(text(await call('delete_blob', { blob_path, if_match: etag })));
      ends.push(reason ? `${outcome} ${reason}` : outcome);
    }
    return ends.join(', ');
  });
  await step('expiry', async () => {
    await desk('/later');
    return ping();
  });
  await step('write', async () => text(await call('write_note')));
  await step('whoami', async () => JSON.parse(text(await call('get_user_info'))).user_claims.upn);
}

/** Answers what the server asks the user. */
export async function answer({ params }) {
  if (params.mode === 'url') {
    await consent(params.url);
    return { action: 'accept' };
  }
  if (params.requestedSchema.properties.confirm) {
    return { action: 'accept', content: { confirm: params.message.includes('yes.txt') } };
  }
  return { action: 'accept', content: { name: 'Alice' } };
}
