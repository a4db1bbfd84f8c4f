// What a node still holds of a release, found out by reading all of it.
#pragma once

#include <optional>
#include <set>

#include "notp-client/store/store.hpp"
#include "protocol/delta/inventory.hpp"

namespace notp {

struct StockRequest {
  LedgerId ledger;
  uint64_t version = 0;
  std::optional<InventoryForm> form;  // nullopt: no inventory is needed
};

struct Stock {
  std::set<Hash> lacks;  // contents that are missing or damaged
  Inventory inventory;   // of the files with the others
};

// Blocking: reads every content of the release. kNotFound, kCorrupt: its list of files is no good;
// kIo.
Result<Stock> take_stock(const StockRequest& request, Store& store);

}  // namespace notp
