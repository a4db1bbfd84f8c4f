#include "tools/notp/mirror/upstream_config.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "common/limits.hpp"
#include "protocol/trust/statements.hpp"
#include "tools/notp/mirror/upstream_refs.hpp"

namespace notp::cli {
namespace {

constexpr uint64_t kDiskBytesMin = 1 << 20;
constexpr std::string_view kHostBytes =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";

std::unexpected<Error> wrong(std::string_view setting, std::string_view why) {
  return fail(ErrorCode::kConfig, fmt::format("{}: {}", setting, why));
}

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

// A user or a host: neither may be taken for an option of a program that git runs.
bool is_host(std::string_view text) {
  return !text.empty() && !text.starts_with('-') && text.find_first_not_of(kHostBytes) == text.npos;
}

// "host", "host:port", "[::1]:port".
bool is_authority(std::string_view text) {
  const size_t colon = text.ends_with(']') ? text.npos : text.rfind(':');
  const std::string_view port = colon == text.npos ? "0" : text.substr(colon + 1);
  std::string_view host = text.substr(0, colon);
  if (port.empty() || port.find_first_not_of("0123456789") != port.npos) return false;
  if (host.starts_with('[') && host.ends_with(']'))
    return host.find_first_not_of("0123456789abcdefABCDEF:.", 1) == host.size() - 1;
  return is_host(host);
}

std::string name_of(std::string_view path) {
  while (path.ends_with('/')) path.remove_suffix(1);
  path.remove_prefix(path.find_last_of("/:") + 1);  // npos + 1 is 0
  if (path.ends_with(".git")) path.remove_suffix(4);
  return path.empty() ? "model" : std::string(path);
}

Result<void> check_path(const std::string& path) {
  if (path.size() > limits::kPathBytesMax)
    return wrong("path", fmt::format("it has more than {} bytes", limits::kPathBytesMax));
  std::string_view rest = path;
  while (!rest.empty()) {
    const size_t slash = rest.find('/');
    const std::string_view part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || slash == rest.size() - 1 ||
        std::ranges::any_of(part, [](unsigned char c) { return c < ' ' || c == 0x7f; }))
      return wrong("path", "a folder of the repository, as in \"policies/payments\"");
    rest.remove_prefix(slash == rest.npos ? rest.size() : slash + 1);
  }
  return {};
}

Result<void> check_selection(const UpstreamConfig& config) {
  if (config.branch.empty() == config.tag_pattern.empty())
    return wrong("branch", "set either branch or tags");
  if (!config.branch.empty()) return check_ref_name(config.branch);
  if (config.tag_pattern.size() > kRefNameBytesMax || !is_printable(config.tag_pattern))
    return wrong("tags", "printable ASCII without spaces, as in \"v*\"");
  return {};
}

Result<void> check_signers(const UpstreamConfig& config) {
  const bool has_signers = !config.allowed_signers.empty() || !config.gpg_home.empty();
  const bool wants_tag =
      config.verify == VerifyMode::kTag || config.verify == VerifyMode::kTagAndHead;
  if (config.verify == VerifyMode::kNone && (has_signers || config.signers_min > 1))
    return wrong("verify", "with none, no signature counts: set another mode, or no signers");
  if (config.verify == VerifyMode::kNone) return {};
  if (!has_signers) return wrong("verify", "it needs allowed_signers or gpg_home");
  if (wants_tag && config.tag_pattern.empty())
    return wrong("verify", "a tag is verified only with tags");
  if (config.signers_min == 0 || config.signers_min > kUpstreamSignersMax)
    return wrong("signers_min", fmt::format("1 to {}", kUpstreamSignersMax));
  return {};
}

// ssh expands '%' and '~' in paths, splits them at spaces, and gets them through a shell.
bool is_plain_path(const std::filesystem::path& path) {
  return std::ranges::all_of(path.string(), [](char c) {
    return std::string_view("/._+-@=,:").contains(c) || (c >= '0' && c <= '9') ||
           (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

Result<void> check_credentials(const UpstreamConfig& config, const UpstreamAddress& address) {
  if (address.scheme == UpstreamScheme::kSsh) {
    if (config.ssh_key.empty() || config.known_hosts.empty())
      return wrong("ssh_key", "ssh needs ssh_key and known_hosts");
    if (!is_plain_path(config.ssh_key) || !is_plain_path(config.known_hosts))
      return wrong("ssh_key",
                   "for ssh_key and known_hosts, ssh takes paths without spaces, quotes "
                   "and signs such as % and ~");
  }
  if (config.username.empty() != config.password_file.empty())
    return wrong("password_file", "set username and password_file together");
  if (!config.password_file.empty() && !address.is_http())
    return wrong("password_file", "it is for https only");
  if (!std::ranges::all_of(config.username, [](unsigned char c) { return c >= ' ' && c != 0x7f; }))
    return wrong("username", "it has a control character");
  if (config.certificate.empty() != config.certificate_key.empty())
    return wrong("certificate", "set certificate and certificate_key together");
  return {};
}

}  // namespace

Result<UpstreamAddress> parse_repository(const std::string& repository, bool allow_insecure) {
  if (repository.size() > limits::kSourceTextBytesMax || !is_printable(repository))
    return wrong("repository", "it is too long, or not printable ASCII without spaces");
  UpstreamAddress address{.name = name_of(repository)};
  const size_t scheme_end = repository.find("://");
  const std::string_view scheme = std::string_view(repository).substr(0, scheme_end);
  if (scheme_end == repository.npos) {  // user@host:path
    const size_t at = repository.find('@'), colon = repository.find(':');
    const bool is_scp_form =
        at < colon && colon != repository.npos && is_host(scheme.substr(0, at)) &&
        is_host(scheme.substr(at + 1, colon - at - 1)) && colon + 1 < repository.size() &&
        repository[colon + 1] != '-' && repository[colon + 1] != ':';
    if (!is_scp_form)
      return wrong("repository", "https://host/path, ssh://user@host/path or user@host:path");
    address.scheme = UpstreamScheme::kSsh;
    return address;
  }
  const std::string_view rest = std::string_view(repository).substr(scheme_end + 3);
  const std::string_view authority = rest.substr(0, rest.find('/'));
  const size_t at = authority.rfind('@');
  const std::string_view user = at == authority.npos ? "" : authority.substr(0, at);
  const std::string_view host = at == authority.npos ? authority : authority.substr(at + 1);
  if (rest.size() <= authority.size() + 1) return wrong("repository", "it has no path");
  if (rest.find_first_of("?#") != rest.npos)
    return wrong("repository", "it has a query or a fragment");
  if (scheme == "ssh" && is_authority(host) && (at == authority.npos || is_host(user))) {
    address.scheme = UpstreamScheme::kSsh;
    return address;
  }
  if (at != authority.npos)
    return wrong("repository",
                 "it has a user or a password: set username and password_file instead");
  if ((scheme == "https" || (scheme == "http" && allow_insecure)) && is_authority(host)) {
    address.scheme = scheme == "https" ? UpstreamScheme::kHttps : UpstreamScheme::kHttp;
    address.authority = host;
    return address;
  }
  if (scheme == "file" && allow_insecure && authority.empty()) {
    address.scheme = UpstreamScheme::kFile;
    return address;
  }
  return wrong("repository", "https://host/path, ssh://user@host/path or user@host:path");
}

Result<void> check_upstream(const UpstreamConfig& config) {
  NOTP_ASSIGN(const UpstreamAddress address,
              parse_repository(config.repository, config.allow_insecure));
  NOTP_TRY(check_selection(config));
  NOTP_TRY(check_path(config.path));
  NOTP_TRY(check_signers(config));
  NOTP_TRY(check_credentials(config, address));
  if (config.disk_bytes_max < kDiskBytesMin)
    return wrong("disk_bytes_max", fmt::format("at least {}", kDiskBytesMin));
  if (config.deadline_ms <= 0) return wrong("deadline_ms", "it is not positive");
  return {};
}

}  // namespace notp::cli
