// Loaded by Node.js before jsii's runtime (shared/node.py): the provider's bindings are 2,200 modules, and the package's
// index.js requires them all. lazy-index.js, which `cdktf get` generates beside it, exports the same names and requires
// each module when it is asked for. A Node.js without registerHooks (before 22.15) loads all of them, as without this.
"use strict";

const { registerHooks } = require("node:module");

const INDEX = /\/node_modules\/@cdktf\/provider-aws\/lib\/index\.js$/;

registerHooks?.({
  resolve(specifier, context, nextResolve) {
    const found = nextResolve(specifier, context);
    return INDEX.test(found.url) ? { ...found, url: found.url.replace(/index\.js$/, "lazy-index.js") } : found;
  },
});
