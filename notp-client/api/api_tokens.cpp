#include "notp-client/api/api_tokens.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "common/random.hpp"
#include "common/storage/files.hpp"
#include "common/storage/private_files.hpp"
#include "notp-client/api/api_limits.hpp"

namespace notp::api {
namespace {

constexpr std::string_view kHashPrefix = "sha256:";
constexpr std::string_view kTokenPrefix = "notp_";
constexpr std::string_view kSpace = " \t\r";
constexpr int kSecretWords = 4;  // of 64 bits
constexpr unsigned kOwnerOnly = 0600;

bool is_name_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::string_view take_word(std::string_view& line) {
  const size_t begin = std::min(line.find_first_not_of(kSpace), line.size());
  const size_t end = std::min(line.find_first_of(kSpace, begin), line.size());
  const std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

std::string without_line_end(std::string text) {
  while (text.ends_with('\n') || text.ends_with('\r')) text.pop_back();
  return text;
}

}  // namespace

Result<ApiTokens> ApiTokens::parse(std::string_view text) {
  ApiTokens tokens;
  std::string mistakes;
  size_t number = 0;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    ++number;
    const std::string_view name = take_word(line);
    if (name.empty() || name.starts_with('#')) continue;
    std::string_view hash = take_word(line);
    const bool known = hash.starts_with(kHashPrefix);
    if (known) hash.remove_prefix(kHashPrefix.size());
    auto parsed = Hash::from_hex(hash);
    // The text may be a token by mistake, so it is not repeated.
    if (!check_token_name(name) || !known || !parsed || !take_word(line).empty())
      mistakes += fmt::format("line {}: write 'name sha256:' and 64 hexadecimal digits\n", number);
    else if (tokens.entries_.size() == limits::kApiTokensMax)
      return fail(ErrorCode::kConfig, fmt::format("more than {} tokens", limits::kApiTokensMax));
    else
      tokens.entries_.push_back({std::string(name), *parsed});
  }
  if (!mistakes.empty()) {
    mistakes.pop_back();
    return fail(ErrorCode::kConfig, std::move(mistakes));
  }
  return tokens;
}

Result<ApiTokens> ApiTokens::load(const std::filesystem::path& file) {
  NOTP_ASSIGN(const Bytes text, read_private_file(file, limits::kApiTokenFileBytesMax));
  auto tokens = parse(text);
  if (!tokens) return std::unexpected(std::move(tokens).error().in(file.string()));
  return tokens;
}

std::string_view ApiTokens::find(std::string_view token) const {
  const Hash hash = sha256(token);
  const Entry* found = nullptr;
  for (const Entry& entry : entries_)
    if (CRYPTO_memcmp(entry.hash.bytes.data(), hash.bytes.data(), Hash::kSize) == 0) found = &entry;
  return found ? std::string_view(found->name) : std::string_view();
}

Result<void> check_token_name(std::string_view name) {
  if (!name.empty() && name.size() <= limits::kApiTokenNameBytesMax &&
      std::ranges::all_of(name, is_name_char))
    return {};
  return fail(ErrorCode::kUsage, fmt::format("'{}' is not a name of a token: use 1 to {} of A-Z, "
                                             "a-z, 0-9, '.', '_' and '-'",
                                             printable(name), limits::kApiTokenNameBytesMax));
}

std::string make_token() {
  SystemRandom random;
  std::string token(kTokenPrefix);
  for (int i = 0; i < kSecretWords; ++i) token += fmt::format("{:016x}", random.next_u64());
  return token;
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Result<std::string> read_secret(const std::filesystem::path& file) {
  NOTP_ASSIGN(Bytes text, read_private_file(file, limits::kApiTokenBytesMax));
  std::string secret = without_line_end(std::move(text));
  if (secret.empty()) return fail(ErrorCode::kConfig, file.string() + " is empty");
  return secret;
}

Result<std::string> read_or_make_secret(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::exists(file, ignored)) return read_secret(file);
  // Written whole under another name, then linked: the file exists complete or not at all, and the
  // first of several processes wins.
  const std::string made = fmt::format("{}.{}", file.string(), ::getpid());
  NOTP_TRY(write_file(made, make_token() + "\n", kOwnerOnly));
  const int linked = ::link(made.c_str(), file.c_str());
  const int reason = linked == 0 ? 0 : errno;
  std::filesystem::remove(made, ignored);
  if (reason != 0 && reason != EEXIST)
    return fail(ErrorCode::kIo, fmt::format("{}: {}", file.string(), std::strerror(reason)));
  NOTP_TRY(sync_folder(file.parent_path()));
  return read_secret(file);
}

}  // namespace notp::api
