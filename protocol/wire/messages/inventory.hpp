// Lists what a client holds of a ledger when the registry knows none of its bases.
#pragma once

#include <cstdint>
#include <string_view>

#include "common/bytes.hpp"
#include "protocol/wire/frame_type.hpp"

namespace notp::wire {

inline constexpr size_t kLeafBytes = 8;  // of a file, in inventories

struct InventoryRequest {
  static constexpr FrameType kFrame = FrameType::kInventoryRequest;
  static constexpr std::string_view kName = "InventoryRequest";

  uint32_t subscription = 0;
  bool listed = false;
};

// The fields of notp::Inventory, for a subscription.
struct Inventory {
  static constexpr FrameType kFrame = FrameType::kInventory;
  static constexpr std::string_view kName = "Inventory";

  uint32_t subscription = 0;
  uint64_t files = 0;
  Bytes list;
  Bytes sketch;
};

}  // namespace notp::wire
