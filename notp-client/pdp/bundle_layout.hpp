// An active set as files, in the form that OPA loads as a bundle or a folder.
#pragma once

#include "notp-client/pdp/pdp.hpp"

namespace notp::pdp {

struct BundleFile {
  std::vector<Hash> contents;  // several: documents of several ledgers at one path, to be merged
  Bytes made;                  // without contents: generated from the set itself
};
using BundleLayout = std::map<std::string, BundleFile>;

// What an OPA gets because its node follows a token lane.
struct BundleLane {
  Bytes authz;                            // authz_module(); empty: the node follows none
  std::vector<std::string> token_inputs;  // where in `input` tokens are: OPA's log lacks them
  Hash tokens_proof = {};                 // of rego::opa_tokens_module()
};

// What a layout is for.
enum class LayoutUse : bool {
  kFolder,
  kOpa,  // with the module that masks OPA's decision log (mask_module.hpp)
};

// Policies, without tests, in a folder for each ledger; data at its data paths; data.system.notp;
// the packages system.notp.tokens and system.notp.txn, by which an OPA looks tokens up and verifies
// transaction tokens; what `lane` adds; and a manifest
// whose roots are those of the ledgers. A denied ledger contributes only its roots, and undefined
// functions in place of its functions that other ledgers call. Errors of `load` and `engine`.
Result<BundleLayout> bundle_layout(const ActiveSet& active, const model::BlobLoader& load,
                                   rego::ModelChecker& engine, LayoutUse use = LayoutUse::kFolder,
                                   const BundleLane& lane = {});

// Errors of `load`; kPdpRejected when documents of two ledgers clash.
Result<model::Content> content_of(const std::string& path, const BundleFile& file,
                                  const model::BlobLoader& load);

}  // namespace notp::pdp
