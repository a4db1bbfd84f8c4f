#include "notp-server/registry/git_text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "common/limits.hpp"

namespace notp {
namespace {

constexpr size_t kBase64Columns = 76;
constexpr std::string_view kEnvelopeBegin = "-----BEGIN NOTP ENVELOPE-----\n";
constexpr std::string_view kEnvelopeEnd = "-----END NOTP ENVELOPE-----\n";
constexpr std::string_view kScheme = "spiffe://";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

// Takes "<name>: <value>\n" off the front of `text`.
Result<std::string_view> take_trailer(std::string_view& text, std::string_view name) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  if (end == std::string_view::npos || !line.starts_with(name) ||
      !line.substr(name.size()).starts_with(": "))
    return fail(ErrorCode::kCorrupt,
                fmt::format("the commit message has no trailer {} in its place", name));
  text.remove_prefix(end + 1);
  return line.substr(name.size() + 2);
}

Result<Hash> take_hash(std::string_view& text, std::string_view name) {
  NOTP_ASSIGN(const std::string_view value, take_trailer(text, name));
  auto hash = Hash::from_hex(value);
  if (!hash)
    return fail(ErrorCode::kCorrupt,
                fmt::format("the trailer {} of the commit is not a SHA-256 value", name));
  return hash;
}

}  // namespace

Result<std::string> stored_message(std::string_view text, uint64_t version) {
  if (text.size() > limits::kErrorTextBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("the message has {} bytes; {} are allowed: shorten it", text.size(),
                            limits::kErrorTextBytesMax));
  if (!is_utf8(text)) return fail(ErrorCode::kUsage, "the message is not UTF-8: encode it so");
  std::string plain(text);
  for (char& c : plain)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = ' ';
  std::string stored(trimmed(plain));
  return stored.empty() ? fmt::format("Release v{}", version) : stored;
}

Result<void> check_publisher(std::string_view identity) {
  constexpr std::string_view kTrimmedByGit = " .,:;\\\"'";
  const auto refused = [](char c) { return c < 0x20 || c > 0x7e || c == '<' || c == '>'; };
  if (identity.empty() || identity.size() > 2 * limits::kPathBytesMax ||
      std::ranges::any_of(identity, refused) || kTrimmedByGit.contains(identity.front()) ||
      kTrimmedByGit.contains(identity.back()))
    return fail(ErrorCode::kUsage,
                fmt::format("the publisher identity '{}' cannot stand as an author in Git: use "
                            "letters, digits and /.-_ and end in a letter or digit",
                            identity.substr(0, limits::kNameBytesMax)));
  return {};
}

std::string_view short_identity(std::string_view identity) {
  if (!identity.starts_with(kScheme)) return identity;
  const size_t slash = identity.find('/', kScheme.size());
  return slash == std::string_view::npos ? identity : identity.substr(slash + 1);
}

std::string publisher_email(std::string_view identity, std::string_view trust_domain) {
  const std::string_view path = short_identity(identity);
  const size_t slash = path.find('/');
  const std::string_view kind =
      slash == std::string_view::npos ? "publisher" : path.substr(0, slash);
  const auto plain = [](std::string_view part) {
    std::string text(part);
    std::ranges::replace_if(
        text, [](unsigned char c) { return std::isalnum(c) == 0 && c != '.' && c != '_'; }, '-');
    return text;
  };
  const std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  return fmt::format("{}@{}.{}", plain(name), plain(kind), trust_domain);
}

std::string utc_text(TimeMs time_ms) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<time_t>(time_ms / 1000)));
}

std::string commit_text(const CommitText& commit) {
  return fmt::format("{}\n\nNotp-Version: {}\nNotp-Release: {}\nNotp-Content-Root: {}\n",
                     commit.message, commit.version, commit.release.hex(),
                     commit.content_root.hex());
}

Result<CommitText> parse_commit_text(std::string_view text) {
  const size_t blank = text.rfind("\n\n");
  if (blank == std::string_view::npos)
    return fail(ErrorCode::kCorrupt, "the commit message has no trailers");
  CommitText commit{std::string(text.substr(0, blank)), 0, {}, {}};
  std::string_view rest = text.substr(blank + 2);
  NOTP_ASSIGN(const std::string_view version, take_trailer(rest, "Notp-Version"));
  const auto [end, error] =
      std::from_chars(version.data(), version.data() + version.size(), commit.version);
  if (error != std::errc() || end != version.data() + version.size())
    return fail(ErrorCode::kCorrupt, "the trailer Notp-Version of the commit is not a number");
  NOTP_ASSIGN(commit.release, take_hash(rest, "Notp-Release"));
  NOTP_ASSIGN(commit.content_root, take_hash(rest, "Notp-Content-Root"));
  if (!rest.empty())
    return fail(ErrorCode::kCorrupt, "the commit message goes on after its trailers");
  return commit;
}

std::string tag_text(const NewRelease& release) {
  const Release& statement = release.release;
  std::string text = fmt::format(
      "{} v{}\n\nRelease: {}\nPrevious: {}\nContent root: {}\nContent: {} files, {} bytes\n"
      "Roots: {}\nPublisher: {}\nIssued: {}\n\n",
      statement.ledger.uri(statement.trust_domain), statement.version, release.hash.hex(),
      statement.previous.is_zero() ? "none" : statement.previous.hex(),
      statement.content_root.hex(), statement.file_count, statement.total_bytes,
      fmt::join(statement.roots, ", "), release.publisher, utc_text(statement.issued_ms));
  text += kEnvelopeBegin;
  const std::string base64 = to_base64(release.envelope);
  for (size_t at = 0; at < base64.size(); at += kBase64Columns)
    text.append(base64, at, kBase64Columns).push_back('\n');
  text += kEnvelopeEnd;
  return text;
}

Result<Bytes> parse_tag_envelope(std::string_view text) {
  const size_t begin = text.find(kEnvelopeBegin);
  const size_t end = text.rfind(kEnvelopeEnd);
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin)
    return fail(ErrorCode::kCorrupt, "the tag holds no NOTP envelope");
  const size_t first = begin + kEnvelopeBegin.size();
  auto envelope = from_base64(text.substr(first, end - first));
  if (!envelope) return fail(ErrorCode::kCorrupt, "the envelope in the tag is not base64");
  return envelope;
}

}  // namespace notp
