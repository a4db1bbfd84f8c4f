#include "notp-client/decision/log_mask.hpp"

#include <array>

#include "common/assert.hpp"
#include "notp-client/decision/json_reader.hpp"
#include "notp-client/decision/mask_walker.hpp"

namespace notp::decision {

LogMask::LogMask(std::span<const MaskRules* const> rules, Random& random)
    : rules_(rules), random_(random), matched_(rules.size()) {}

Result<std::optional<Bytes>> LogMask::apply(model::MaskPart part, ByteView text) {
  std::vector<ActiveMask> masks;
  for (uint32_t set = 0; set < rules_.size(); ++set) {
    const auto& all = rules_[set]->masks();
    for (uint32_t i = 0; i < all.size(); ++i)
      if (all[i].part == part) masks.push_back({&all[i], set, i});
  }
  const auto readable = replace_lone_surrogates(text);
  return MaskWalker(readable ? ByteView(*readable) : text, part, std::move(masks),
                    {&lists_, &matched_, &random_})
      .run();
}

Result<Bytes> LogMask::apply_built_in(ByteView text) {
  const auto readable = replace_lone_surrogates(text);
  auto masked = MaskWalker(readable ? ByteView(*readable) : text, std::nullopt, {}, {}).run();
  if (!masked) return std::unexpected(std::move(masked).error());
  NOTP_ASSERT(*masked, "no rule removes the whole");
  return **std::move(masked);
}

Bytes hmac_sha256(ByteView key, ByteView message) {
  constexpr size_t kBlockBytes = 64;
  std::array<char, kBlockBytes> inner{}, outer{};
  const Hash hashed = key.size() > kBlockBytes ? sha256(key) : Hash{};
  const ByteView used = key.size() > kBlockBytes ? hashed.view() : key;
  for (size_t i = 0; i < kBlockBytes; ++i) {
    const char byte = i < used.size() ? used[i] : '\0';
    inner[i] = static_cast<char>(byte ^ 0x36);
    outer[i] = static_cast<char>(byte ^ 0x5c);
  }
  const Hash first = Sha256().update({inner.data(), inner.size()}).update(message).finish();
  return Bytes(Sha256().update({outer.data(), outer.size()}).update(first.view()).finish().view());
}

}  // namespace notp::decision
