// Finds signed tokens in files, by what they are: a JWS in compact form (RFC 7515 §7.1) whose typ
// is that of an access token or a transaction token. It needs to know none of them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/base64url.hpp"
#include "common/json/json.hpp"
#include "tests/support/process/scanned_files.hpp"

namespace notp {

class TokenScan {
 public:
  void text(const std::string& place, std::string_view text) {
    ++places_;
    bytes_ += text.size();
    // {"…: the beginning of a header.
    for (size_t at = 0; (at = text.find("eyJ", at)) != std::string_view::npos; ++at)
      look(place, text.substr(at));
  }
  // Every file in it.
  void folder(const std::filesystem::path& folder) {
    for_each_file(folder, [this](const std::string& place, const std::string& text) {
      this->text(place, text);
    });
  }
  // The places of tokens, a place once for each.
  const std::vector<std::string>& findings() const { return findings_; }
  // How many messages of the example were met, which are signed the same way.
  size_t messages() const { return messages_; }
  size_t places() const { return places_; }
  uint64_t bytes() const { return bytes_; }

 private:
  static constexpr std::string_view kBase64Url =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

  // The base64url text at the beginning.
  static std::string_view part(std::string_view text) {
    return text.substr(0, text.find_first_not_of(kBase64Url));
  }
  void look(const std::string& place, std::string_view text) {
    const std::string_view header = part(text);
    text.remove_prefix(header.size());
    if (!text.starts_with('.')) return;
    const std::string_view payload = part(text.substr(1));
    text.remove_prefix(1 + payload.size());
    // Without its signature it says something, and is worth nothing: decision records keep it so.
    if (!text.starts_with('.') || part(text.substr(1)).empty()) return;
    const std::string name = typ_of(header);
    if (name == "txntoken+jwt" || name == "at+jwt" || name == "JWT") findings_.push_back(place);
    if (name != "refund-job+jws") return;
    ++messages_;
    // A token inside of it.
    if (const auto inner = from_base64url(payload)) this->text(place, *inner);
  }
  static std::string typ_of(std::string_view header) {
    const auto bytes = from_base64url(header);
    const auto document = bytes ? parse_json(*bytes) : fail(ErrorCode::kMessage, "");
    if (!document || !document->is_object()) return {};
    const json::value* typ = document->as_object().if_contains("typ");
    return typ != nullptr && typ->is_string() ? std::string(typ->get_string()) : std::string();
  }

  std::vector<std::string> findings_;
  size_t messages_ = 0, places_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace notp
