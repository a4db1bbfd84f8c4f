// An OPA bundle's .manifest as the manifest.json of a model.
#pragma once

#include "tools/notp/publish/model_roots.hpp"

namespace notp {

// `own` is the text of .manifest ("{}" where there is none), `files` are the bundle's policies and
// data. Roots that own everything ([""], OPA's default) become those that find_roots() finds: a
// ledger owns names, never all. Versions of Rego become partitions, which are folders. Without a
// name in its metadata it gets `name`. The same bytes for the same input. kInvalidModel with what
// cannot be said in a manifest.json; the loader's errors.
Result<Bytes> manifest_of_bundle(ByteView own, const Files& files, const FileLoader& load,
                                 const std::string& name);

}  // namespace notp
