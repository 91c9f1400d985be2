// Loaded by Node.js before jsii's runtime (shared/node.py): the provider's bindings are 2,200 modules, and the package's
// index.js requires them all. lazy-index.js, which `cdktf get` generates beside it, exports the same names and requires
// each module when it is asked for. Node's own hooks (registerHooks) do the same, slower and from 22.15 on only.
//
// Likewise archiver, 200 of the 380 modules behind `require("cdktf")`: cdktf needs it for assets of the type ARCHIVE only.
"use strict";

const Module = require("node:module");

const INDEX = /[\\/]node_modules[\\/]@cdktf[\\/]provider-aws[\\/]lib[\\/]index\.js$/;
const ARCHIVING = /[\\/]node_modules[\\/]cdktf[\\/]lib[\\/]private[\\/]fs\.js$/;
const resolveFilename = Module._resolveFilename;
const load = Module._load;

Module._resolveFilename = function (...request) {
  const file = resolveFilename.apply(this, request);
  return INDEX.test(file) ? file.replace(/index\.js$/, "lazy-index.js") : file;
};

Module._load = function (request, parent, isMain) {
  if (request !== "archiver" || !ARCHIVING.test(parent?.filename ?? "")) return load(request, parent, isMain);
  const archiver = () => load(request, parent, isMain);
  return new Proxy(function () {}, {
    apply: (_, self, given) => Reflect.apply(archiver(), self, given),
    get: (_, name) => Reflect.get(archiver(), name),
  });
};
