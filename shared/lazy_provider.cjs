// Loaded by Node.js before jsii's runtime (shared/node.py): the provider's bindings are 2,200 modules, and the package's
// index.js requires them all. lazy-index.js, which `cdktf get` generates beside it, exports the same names and requires
// each module when it is asked for. Node's own hooks (registerHooks) do the same, slower and from 22.15 on only.
"use strict";

const Module = require("node:module");

const INDEX = /[\\/]node_modules[\\/]@cdktf[\\/]provider-aws[\\/]lib[\\/]index\.js$/;
const resolveFilename = Module._resolveFilename;

Module._resolveFilename = function (...request) {
  const file = resolveFilename.apply(this, request);
  return INDEX.test(file) ? file.replace(/index\.js$/, "lazy-index.js") : file;
};
