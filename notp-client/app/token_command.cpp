#include "notp-client/app/token_command.hpp"

#include <fmt/format.h>

#include "common/crypto/digest.hpp"
#include "common/storage/files.hpp"
#include "notp-client/api/api_limits.hpp"
#include "notp-client/api/api_tokens.hpp"

namespace notp::client {
namespace {

constexpr unsigned kOwnerOnly = 0600;
constexpr std::string_view kNewFile =
    "# tokens of policy enforcement points, by their hashes: name sha256:HEX\n";

// The file's content, after validation.
Result<Bytes> read_hashes(const std::filesystem::path& file, bool may_be_missing) {
  std::error_code ignored;
  if (may_be_missing && !std::filesystem::exists(file, ignored)) return Bytes(kNewFile);
  NOTP_TRY(api::ApiTokens::load(file));
  return read_file(file, limits::kApiTokenFileBytesMax);
}

bool is_of(std::string_view line, std::string_view name) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  return line.substr(0, line.find_first_of(" \t")) == name;
}

}  // namespace

Result<std::string> make_pep_token(const TokenCommandOptions& options) {
  NOTP_TRY(api::check_token_name(options.name));
  std::error_code ignored;
  if (std::filesystem::exists(options.out, ignored))
    return fail(ErrorCode::kConflict,
                fmt::format("{} is there already; name another file", options.out.string()));
  NOTP_ASSIGN(Bytes hashes, read_hashes(options.tokens, /*may_be_missing=*/true));
  const std::string token = api::make_token();
  if (!hashes.empty() && !hashes.ends_with('\n')) hashes += '\n';
  hashes += fmt::format("{} sha256:{}\n", options.name, sha256(token).hex());
  // The token is written first: a hash without its token is useless.
  NOTP_TRY(write_file(options.out, token + "\n", kOwnerOnly));
  NOTP_TRY(write_file(options.tokens, hashes, kOwnerOnly));
  return fmt::format(
      "the token of '{0}' is in {1}, its hash in {2}; an agent that has {2} as api_token takes it "
      "within seconds\n"
      "hand the file to who asks with it, and try it without showing it to others on this "
      "machine:\n"
      "  printf 'Authorization: Bearer %s' \"$(cat {1})\" | curl -H @- {3}/v1/data\n",
      options.name, options.out.string(), options.tokens.string(),
      options.url.empty() ? "http://127.0.0.1:8282" : options.url);
}

Result<std::string> remove_pep_tokens(const TokenCommandOptions& options) {
  NOTP_TRY(api::check_token_name(options.name));
  NOTP_ASSIGN(const Bytes hashes, read_hashes(options.tokens, /*may_be_missing=*/false));
  Bytes kept;
  size_t removed = 0;
  for (std::string_view rest = hashes; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (is_of(line, options.name))
      ++removed;
    else
      kept.append(line).append("\n");
  }
  if (removed == 0)
    return fail(ErrorCode::kNotFound,
                fmt::format("{} has no token of '{}'", options.tokens.string(), options.name));
  NOTP_TRY(write_file(options.tokens, kept, kOwnerOnly));
  return fmt::format("{} token{} of '{}' taken out of {}\n", removed, removed == 1 ? "" : "s",
                     options.name, options.tokens.string());
}

}  // namespace notp::client
