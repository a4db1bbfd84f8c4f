#include "notp-server/lane_inputs/token_message.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/jose/jose_limits.hpp"
#include "common/jose/json_depth.hpp"
#include "notp-server/lane_inputs/pull_limits.hpp"
#include "notp-server/lane_inputs/refusal.hpp"

namespace notp::lane_inputs {
namespace {

// io.jans.as.model.util.HashUtil and its kin put it before a hash that they store.
constexpr std::string_view kHashMark = "{sha256Hex}";
constexpr size_t kHashDigits = 64;

std::unexpected<Error> broken(std::string_view rule, std::string message) {
  return refuse(fmt::format("message.{}", rule), std::move(message));
}

std::string_view text_in(const json::object& message, std::string_view name) {
  const json::value* value = message.if_contains(name);
  const json::string* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string_view() : std::string_view(*text);
}

Result<void> read_id(std::string_view id, IdForm form, TokenMessage& out) {
  if (id.empty() || id.size() > jose::kTokenBytesMax)
    return broken("id", "tknId of the message is missing, not a text, empty or too long");
  const bool has_mark = id.starts_with(kHashMark);
  if (form == IdForm::kToken) {
    if (has_mark) return broken("hashed-id", "tknId of the message is a hash; set ids to sha256");
    // Printable, without blanks: as it would stand in a header (RFC 6750 §2.1).
    if (!std::ranges::all_of(id, [](char c) { return c > ' ' && c < '\x7f'; }))
      return broken("id", "tknId of the message has characters that no token has");
    out.token = TokenText(id);
    out.id = feed::token_id(id);
    return {};
  }
  if (has_mark) id.remove_prefix(kHashMark.size());
  const auto hash = feed::TokenId::from_hex(id);
  if (id.size() != kHashDigits || !hash)
    return broken("not-a-hash", "tknId of the message is not a SHA-256 in hexadecimal");
  out.id = *hash;
  return {};
}

}  // namespace

Result<TokenMessage> read_token_message(std::string_view text, IdForm form) {
  if (text.size() > kStreamMessageBytesMax)
    return broken("too-large", fmt::format("a message of {} bytes; {} are allowed", text.size(),
                                           kStreamMessageBytesMax));
  const auto value = jose::parse_shallow_json(text);
  if (!value) return broken("not-json", "the message is not JSON");
  if (!value->is_object()) return broken("not-an-object", "the message is not a JSON object");
  const json::object& message = value->get_object();
  TokenMessage out;
  const std::string_view type = text_in(message, "tknTyp");
  if (type.empty() || type.size() > kTokenTypeBytesMax)
    return broken("type", "tknTyp of the message is missing, not a text, empty or too long");
  out.type = printable(type);
  const std::string_view operation = text_in(message, "tknOp");
  if (operation != "add" && operation != "del")
    return broken("operation", "tknOp of the message is neither add nor del");
  out.operation = operation == "add" ? TokenOperation::kAdd : TokenOperation::kDelete;
  NOTP_TRY(read_id(text_in(message, message.contains("tknId") ? "tknId" : "tknCde"), form, out));
  return out;
}

Result<TokenMessage> read_base64_message(std::string_view text, IdForm form) {
  constexpr size_t kMost = (kStreamMessageBytesMax + 2) / 3 * 4;
  if (text.size() > kMost)
    return broken("too-large",
                  fmt::format("a message of {} bytes; {} are allowed", text.size(), kMost));
  auto decoded = from_base64(text);
  if (!decoded) return broken("not-base64", "the message is not in base64");
  auto message = read_token_message(*decoded, form);
  OPENSSL_cleanse(decoded->data(), decoded->size());
  return message;
}

}  // namespace notp::lane_inputs
