// The check of a release's content against the rule of its delegation, which no signature makes.
#pragma once

#include "protocol/model/tree.hpp"
#include "protocol/trust/statements.hpp"

namespace notp::limits {

// Of a release that holds key sets alone.
inline constexpr size_t kKeySetFilesMax = 1'024;
inline constexpr size_t kKeySetFileBytesMax = 128 << 10;

}  // namespace notp::limits

namespace notp::trust {

// Whether the statement alone admits a release of keys: it owns data.keys or places below it, and
// uses no other ledger. Then the content decides.
bool may_be_keys_only(const Release& release);

// Checks that a release holds public keys and nothing else: its statement owns data.keys or places
// below it and uses no other ledger; its files are manifest.json and JWK Sets at
// keys/<issuer>/data.json, within those data roots and without private members; and its manifest
// has metadata, runtimes, partitions ("/" alone) and roots (the signed ones), so that it says
// nothing about decisions or gates. kWrongTarget names what it holds beside, never a value of it;
// the errors of `load`, which is called for the manifest and each key set.
Result<void> check_keys_only(const Release& release, const model::Tree& tree,
                             const model::BlobLoader& load);

// Checks the content of a verified release against the rule of the delegation that covers its
// ledger: the check "release.content". `tree` is the release's. kSignature: no delegation covers
// the ledger; the errors of check_keys_only().
Result<void> check_content(const Root& root, const Release& release, const model::Tree& tree,
                           const model::BlobLoader& load);

}  // namespace notp::trust
