import { readFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';

/** The page: everything it needs comes from this server, and its address is relative, so that it works behind any prefix. */
export const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Countersign: the HTTP API</title>
<link rel="icon" href="docs/favicon-32x32.png" type="image/png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="reference"><p><a href="openapi.yaml">openapi.yaml</a> is the same as text.</p></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`;

/** Nothing but what this server serves, and nowhere else to send anything. CSP Level 3; the images within the style sheet are `data:`. */
export const contentSecurityPolicy = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Without `validatorUrl: null` the page would have a badge that a server on the internet makes of the document. */
const start = `window.ui = SwaggerUIBundle({
  url: 'openapi.yaml',
  dom_id: '#reference',
  validatorUrl: null,
  deepLinking: true,
  docExpansion: 'none',
  defaultModelsExpandDepth: 0,
  filter: true,
  tryItOutEnabled: false,
});
`;

/** A part of the page. */
export interface Part {
  readonly mediaType: string;
  readonly content: string | Buffer;
}

const ofTheViewer: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

/** The part of this name, undefined when the page has none. Read from the installed package when somebody asks for it. */
export async function partNamed(name: string): Promise<Part | undefined> {
  if (name === 'start.js') return { mediaType: 'text/javascript; charset=utf-8', content: start };
  const mediaType = Object.hasOwn(ofTheViewer, name) ? ofTheViewer[name] : undefined;
  return mediaType === undefined ? undefined : { mediaType, content: await readFile(join(viewerFolder(), name)) };
}

function viewerFolder(): string {
  const manifest = findPackageJSON('swagger-ui-dist', import.meta.url);
  if (manifest === undefined) throw new Error('the package swagger-ui-dist is not installed');
  return dirname(manifest);
}
