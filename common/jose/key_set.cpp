#include "common/jose/key_set.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/jose/json_depth.hpp"

namespace notp::jose {
namespace {

// The key's place and, once it is known, its kid.
std::string name_of(size_t index, const json::value& key) {
  const json::value* kid = key.is_object() ? key.get_object().if_contains("kid") : nullptr;
  if (kid == nullptr || !kid->is_string()) return fmt::format("key {}", index + 1);
  return fmt::format("key {} (kid \"{}\")", index + 1, printable(kid->get_string(), 80));
}

}  // namespace

Result<KeySet> KeySet::parse(const json::value& document) {
  const json::value* keys =
      document.is_object() ? document.get_object().if_contains("keys") : nullptr;
  if (keys == nullptr || !keys->is_array())
    return fail(ErrorCode::kMessage,
                "not a key set: an object with an array \"keys\" (RFC 7517 §5)");
  const json::array& elements = keys->get_array();
  if (elements.size() > kKeysMax)
    return fail(ErrorCode::kLimit,
                fmt::format("a key set of {} keys; {} are allowed", elements.size(), kKeysMax));
  KeySet out;
  for (size_t i = 0; i < elements.size(); ++i) {
    if (!elements[i].is_object())
      return fail(ErrorCode::kMessage, fmt::format("key {} is not an object", i + 1));
    auto key = PublicJwk::parse(elements[i].get_object());
    if (!key) return std::unexpected(std::move(key).error().in(name_of(i, elements[i])));
    if (!key->kid().empty() &&
        std::ranges::find(out.keys_, key->kid(), &PublicJwk::kid) != out.keys_.end())
      return fail(ErrorCode::kMessage,
                  fmt::format("{}: another key has the same kid", name_of(i, elements[i])));
    out.keys_.push_back(*std::move(key));
  }
  return out;
}

Result<KeySet> KeySet::parse_text(std::string_view text) {
  if (text.size() > kKeySetBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("a key set of {} bytes; {} are allowed", text.size(), kKeySetBytesMax));
  NOTP_ASSIGN(const json::value document, parse_shallow_json(text));
  return parse(document);
}

std::vector<const PublicJwk*> KeySet::candidates(std::string_view kid, Algorithm algorithm) const {
  std::vector<const PublicJwk*> out;
  for (const PublicJwk& key : keys_)
    if ((kid.empty() || key.kid() == kid) && key.fits(algorithm)) out.push_back(&key);
  return out;
}

}  // namespace notp::jose
