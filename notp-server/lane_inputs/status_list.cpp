#include "notp-server/lane_inputs/status_list.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <limits>

#include "common/base64url.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

constexpr std::string_view kFront = "status-list.", kCheckFront = "token.";
constexpr const char* kKid = "kid";
constexpr TimeMs kSecondMs = 1'000;
constexpr uint64_t kBitsOfByte = 8;

std::unexpected<Error> broken(std::string_view rule, std::string message) {
  return refuse(fmt::format("{}{}", kFront, rule), std::move(message));
}

// "token.sub" of a check becomes "status-list.sub".
std::unexpected<Error> broken_check(Error error, std::string_view kid) {
  for (const auto& [name, value] : error.context)
    if (name == "check" && value.starts_with(kCheckFront)) {
      const std::string rule = value.substr(kCheckFront.size());
      auto out = broken(rule, std::move(error.message));
      if (rule == "key")
        return std::unexpected(std::move(out).error().with(kKid, std::string(kid)));
      return out;
    }
  return broken("not-a-token", std::move(error.message));
}

const json::string* text_in(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_string();
}

// nullopt: not a positive integer that is at most `most`.
std::optional<int64_t> integer_in(const json::value& value, int64_t most) {
  std::optional<int64_t> out;
  if (value.is_int64()) out = value.get_int64();
  if (value.is_uint64())
    out = static_cast<int64_t>(std::min<uint64_t>(value.get_uint64(), INT64_MAX));
  if (!out || *out < 1) return std::nullopt;
  return std::min(*out, most);
}

Result<void> check_claims_of(const jose::Token& token, const jose::KeySet& keys,
                             const StatusListRules& rules) {
  const auto all = jose::all_algorithms();
  const jose::TokenRules wanted{.algorithms = {all.begin(), all.end()},
                                .typ = "statuslist+jwt",
                                .issuer = token.claims.contains("iss") ? rules.issuer : "",
                                .audience = {},
                                .now_ms = rules.now_ms,
                                .needs_expiry = false};
  if (auto checked = jose::check_token(token, keys, wanted); !checked)
    return broken_check(std::move(checked).error(), token.kid);
  if (!token.claims.contains("iat")) return broken("iat", "the list has no iat");
  const json::string* subject = text_in(token.claims, "sub");
  if (subject == nullptr || std::string_view(*subject) != rules.uri)
    return broken("sub", fmt::format("sub of the list is not {}", printable(rules.uri)));
  return {};
}

Result<TimeMs> ttl_of(const json::object& claims) {
  const json::value* ttl = claims.if_contains("ttl");
  if (ttl == nullptr) return kStatusTtlMs;
  const auto seconds = integer_in(*ttl, kStatusTtlMsMax / kSecondMs);
  if (!seconds) return broken("ttl", "ttl of the list is not a positive whole number of seconds");
  return std::max(*seconds * kSecondMs, kStatusTtlMsMin);
}

Result<void> read_list(const json::object& claims, StatusList& out) {
  const json::value* list = claims.if_contains("status_list");
  if (list == nullptr || !list->is_object())
    return broken("no-list", "the token has no object status_list");
  const json::value* bits = list->get_object().if_contains("bits");
  const auto count = bits == nullptr ? std::nullopt : integer_in(*bits, INT32_MAX);
  if (!count || (*count != 1 && *count != 2 && *count != 4 && *count != 8))
    return broken("bits", "bits of the list is not 1, 2, 4 or 8");
  out.bits = static_cast<uint32_t>(*count);
  const json::string* lst = text_in(list->get_object(), "lst");
  if (lst == nullptr) return broken("lst", "the list has no text lst");
  auto zlib = from_base64url(*lst);
  if (!zlib) return broken("lst", fmt::format("lst of the list: {}", zlib.error().message));
  if (zlib->size() > limits::kStatusListBytesMax)
    return broken("too-large", fmt::format("the list has {} bytes, more than {}", zlib->size(),
                                           limits::kStatusListBytesMax));
  NOTP_ASSIGN(const uint64_t bytes, inflated_bytes(*zlib, limits::kStatusListInflatedMax));
  out.statuses = bytes * (kBitsOfByte / out.bits);
  out.zlib = *std::move(zlib);
  return {};
}

// Ends the stream on every way out.
struct Inflater {
  Inflater() { good = inflateInit(&stream) == Z_OK; }
  ~Inflater() {
    if (good) inflateEnd(&stream);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  z_stream stream{};
  bool good = false;
};

}  // namespace

Result<uint64_t> inflated_bytes(ByteView zlib, uint64_t bytes_max) {
  static_assert(limits::kStatusListBytesMax <= std::numeric_limits<uInt>::max());
  if (zlib.size() > std::numeric_limits<uInt>::max())
    return broken("too-large", "the list is larger than zlib takes");
  Inflater inflater;
  if (!inflater.good) return fail(ErrorCode::kInternal, "zlib cannot be set up");
  z_stream& stream = inflater.stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(zlib.data()));  // NOLINT: it reads
  stream.avail_in = static_cast<uInt>(zlib.size());
  std::array<Bytef, 32 << 10> piece;
  uint64_t bytes = 0;
  while (true) {
    stream.next_out = piece.data();
    stream.avail_out = static_cast<uInt>(piece.size());
    const int outcome = inflate(&stream, Z_NO_FLUSH);
    bytes += piece.size() - stream.avail_out;
    if (bytes > bytes_max)
      return broken("bomb", fmt::format("the list inflates to more than {} bytes", bytes_max));
    if (outcome == Z_STREAM_END) break;
    if (outcome == Z_BUF_ERROR || (outcome == Z_OK && stream.avail_in == 0 && stream.avail_out > 0))
      return broken("truncated", "the compressed list ends too early");
    if (outcome != Z_OK) return broken("zlib", "the list is not in ZLIB format (RFC 1950)");
  }
  if (stream.avail_in > 0)
    return broken("trailing", fmt::format("{} bytes follow the compressed list", stream.avail_in));
  return bytes;
}

Result<StatusList> read_status_list(std::string_view text, const jose::KeySet& keys,
                                    const StatusListRules& rules) {
  auto token = jose::read_token(text, kStatusTokenBytesMax);
  if (!token)
    return broken(token.error().code == ErrorCode::kLimit ? "too-large" : "not-a-token",
                  std::move(token).error().message);
  NOTP_TRY(check_claims_of(*token, keys, rules));
  StatusList out;
  NOTP_ASSIGN(out.issued_ms, jose::numeric_date_ms(token->claims.at("iat")));
  if (const json::value* exp = token->claims.if_contains("exp")) {
    NOTP_ASSIGN(out.exp_ms, jose::numeric_date_ms(*exp));
    if (out.exp_ms <= rules.now_ms)  // no leeway: it would count for no time
      return broken("exp", fmt::format("the list expired at {}", utc_time(out.exp_ms)));
  }
  NOTP_ASSIGN(out.ttl_ms, ttl_of(token->claims));
  NOTP_TRY(read_list(token->claims, out));
  return out;
}

std::string_view unknown_kid_of(const Error& error) {
  if (rule_of(error) != "status-list.key") return {};
  for (const auto& [name, value] : error.context)
    if (name == kKid) return value;
  return {};
}

}  // namespace notp::lane_inputs
