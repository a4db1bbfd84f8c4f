// Converts an OPA bundle's .manifest to the manifest.json of a model.
#pragma once

#include "tools/notp/publish/model_roots.hpp"

namespace notp::cli {

// `own` is the text of .manifest ("{}" when there is none), `files` are the bundle's policies and
// data. Roots that own everything ([""], OPA's default) are replaced by those that find_roots()
// finds, because a ledger owns named roots, never all. Versions of Rego become partitions, which
// are folders. A bundle without a name in its metadata gets `name`. Deterministic. kInvalidModel
// for a .manifest that a manifest.json cannot express; the loader's errors.
Result<Bytes> manifest_of_bundle(ByteView own, const model::Files& files, const FileLoader& load,
                                 const std::string& name);

}  // namespace notp::cli
