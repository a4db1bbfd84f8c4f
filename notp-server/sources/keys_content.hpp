// The content of a ledger of key sets. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/bytes.hpp"
#include "protocol/model/tree.hpp"

namespace notp::sources {

// "keys/<name>/data.json".
std::string key_set_path(std::string_view name);

// The documents to publish, by the names of the ledger's configured issuers. An empty one: it is
// not known in this process, and stays as the head has it.
using KeyDocuments = std::map<std::string, Bytes>;

struct KeysContent {
  model::ModelContent content;
  std::vector<std::string> data_roots;  // those of its manifest
};

// Returns manifest.json and the key sets of the configured issuers that have one; those of other
// issuers go. Equal documents give equal content. `head` is null before the first release.
// kConfig: the head has files that no source makes, which would be lost; kInvalidModel: no key
// set is known.
Result<KeysContent> make_keys_content(const model::ModelContent* head,
                                      const KeyDocuments& documents);

}  // namespace notp::sources
