#include "notp-server/audit/search_cursor.hpp"

#include "common/limits.hpp"

namespace notp::audit {
namespace {

constexpr char kVersion = 1;

}  // namespace

Bytes SearchCursor::encode() const {
  Bytes out(1, kVersion);
  out += static_cast<char>(ascending);
  put_varint(out, key);
  put_varint(out, index == kBeyond ? 0 : uint64_t{index} + 1);
  return out;
}

Result<SearchCursor> SearchCursor::decode(ByteView bytes, bool ascending) {
  const auto wrong = [](std::string_view why) {
    return fail(ErrorCode::kUsage, "the cursor " + std::string(why) + "; begin at the first page");
  };
  if (bytes.size() < 2 || bytes[0] != kVersion) return wrong("is not one of this registry");
  if (bytes[1] != static_cast<char>(ascending))
    return wrong("is of a search in the other direction");
  bytes.remove_prefix(2);
  const auto key = take_varint(bytes);
  const auto index = key ? take_varint(bytes) : key;
  // Keys are bound to fit SQLite's integers, with room for the next one.
  if (!index || !bytes.empty() || *key == 0 || *key > (1ULL << 62) ||
      *index > limits::kSegmentRecordsMax)
    return wrong("is damaged");
  return SearchCursor{*key, *index == 0 ? kBeyond : static_cast<uint32_t>(*index - 1), ascending};
}

}  // namespace notp::audit
