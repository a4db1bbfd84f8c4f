#include "protocol/wire/messages/inventory.hpp"

#include "common/limits.hpp"
#include "protocol/wire/message_codec.hpp"

namespace notp::wire {

template <>
struct Codec<InventoryRequest> {
  using Proto = pb::InventoryRequest;
  static constexpr FieldRule kFields[] = {rules::u32(1), rules::flag(2)};
  static constexpr Layout kLayout{InventoryRequest::kName, kFields};

  static Result<void> check(const InventoryRequest&) { return {}; }
  static void put(Proto& out, const InventoryRequest& in) {
    out.set_subscription(in.subscription);
    out.set_listed(in.listed);
  }
  static Result<InventoryRequest> take(const Proto& in) {
    return InventoryRequest{in.subscription(), in.listed()};
  }
};

template <>
struct Codec<Inventory> {
  using Proto = pb::Inventory;
  static constexpr size_t kLeavesBytesMax = limits::kInventoryLeavesMax * kLeafBytes;
  static constexpr FieldRule kFields[] = {rules::u32(1), rules::u64(2),
                                          rules::bytes(3, kLeavesBytesMax),
                                          rules::bytes(4, kLeavesBytesMax)};
  static constexpr Layout kLayout{Inventory::kName, kFields};

  static Result<void> check(const Inventory& in) {
    NOTP_TRY(require(in.files <= limits::kInventoryLeavesMax, "an inventory is too long"));
    NOTP_TRY(require(in.list.empty() || in.sketch.empty(), "an inventory is listed and sketched"));
    return require(!in.sketch.empty() || in.list.size() == in.files * kLeafBytes,
                   "an inventory has another number of leaves than it says");
  }
  static void put(Proto& out, const Inventory& in) {
    out.set_subscription(in.subscription);
    out.set_files(in.files);
    out.set_list(in.list);
    out.set_sketch(in.sketch);
  }
  static Result<Inventory> take(const Proto& in) {
    return Inventory{in.subscription(), in.files(), in.list(), in.sketch()};
  }
};

template struct MessageCodec<InventoryRequest>;
template struct MessageCodec<Inventory>;

}  // namespace notp::wire
