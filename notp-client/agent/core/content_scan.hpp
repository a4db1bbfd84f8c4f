// Finds the intact content of a stored release by reading all of it.
#pragma once

#include <optional>
#include <set>

#include "notp-client/store/store.hpp"
#include "protocol/delta/inventory.hpp"

namespace notp::agent {

struct ScanRequest {
  model::LedgerId ledger;
  uint64_t version = 0;
  std::optional<delta::InventoryForm> form;  // nullopt: no inventory is needed
};

struct ContentScan {
  std::set<Hash> missing_blobs;  // contents that are missing or damaged
  delta::Inventory inventory;    // of the files whose content is intact
};

// Blocking: reads every content of the release. kNotFound, kCorrupt: its file list is unusable;
// kIo.
Result<ContentScan> scan_content(const ScanRequest& request, store::Store& store);

}  // namespace notp::agent
