#include "notp-server/registry/git_text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "common/limits.hpp"

namespace notp::registry {
namespace {

constexpr size_t kBase64Columns = 76;
// A line of its own: the lines for people hold texts of others.
constexpr std::string_view kEnvelopeBegin = "\n-----BEGIN NOTP ENVELOPE-----\n";
constexpr std::string_view kEnvelopeEnd = "-----END NOTP ENVELOPE-----\n";
constexpr std::string_view kScheme = "spiffe://";

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

// Removes "<name>: <value>\n" from the front of `text`.
Result<std::string_view> take_trailer(std::string_view& text, std::string_view name) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  if (end == std::string_view::npos || !line.starts_with(name) ||
      !line.substr(name.size()).starts_with(": "))
    return fail(ErrorCode::kCorrupt,
                fmt::format("the message has no trailer {} in its place", name));
  text.remove_prefix(end + 1);
  return line.substr(name.size() + 2);
}

Result<Hash> take_hash(std::string_view& text, std::string_view name) {
  NOTP_ASSIGN(const std::string_view value, take_trailer(text, name));
  auto hash = Hash::from_hex(value);
  if (!hash)
    return fail(ErrorCode::kCorrupt, fmt::format("the trailer {} is not a SHA-256 value", name));
  return hash;
}

Result<uint64_t> take_version(std::string_view& text) {
  NOTP_ASSIGN(const std::string_view value, take_trailer(text, "Notp-Version"));
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), version);
  if (error != std::errc() || end != value.data() + value.size())
    return fail(ErrorCode::kCorrupt, "the trailer Notp-Version is not a number");
  return version;
}

// Returns a person's text without characters that would disturb a terminal, and without blank lines
// around it.
Result<std::string> plain_words(std::string_view text, std::string_view name) {
  if (text.size() > limits::kErrorTextBytesMax)
    return fail(ErrorCode::kLimit, fmt::format("the {} has {} bytes; {} are allowed: shorten it",
                                               name, text.size(), limits::kErrorTextBytesMax));
  if (!is_utf8(text))
    return fail(ErrorCode::kUsage, fmt::format("the {} is not UTF-8: encode it so", name));
  std::string plain(text);
  for (char& c : plain)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = ' ';
  return std::string(trimmed(plain));
}

}  // namespace

Result<std::string> stored_message(std::string_view text, uint64_t version) {
  NOTP_ASSIGN(std::string stored, plain_words(text, "message"));
  return stored.empty() ? fmt::format("Release v{}", version) : stored;
}

Result<void> check_publisher(std::string_view identity) {
  constexpr std::string_view kTrimmedByGit = " .,:;\\\"'";
  const auto refused = [](char c) { return c < 0x20 || c > 0x7e || c == '<' || c == '>'; };
  if (identity.empty() || identity.size() > limits::kIdentityBytesMax ||
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

std::string commit_text(const CommitText& commit) {
  return fmt::format("{}\n\nNotp-Version: {}\nNotp-Release: {}\nNotp-Content-Root: {}\n",
                     commit.message, commit.version, commit.release_hash.hex(),
                     commit.content_root.hex());
}

Result<CommitText> parse_commit_text(std::string_view text) {
  const size_t blank = text.rfind("\n\n");
  if (blank == std::string_view::npos)
    return fail(ErrorCode::kCorrupt, "the commit message has no trailers");
  CommitText commit{std::string(text.substr(0, blank)), 0, {}, {}};
  std::string_view rest = text.substr(blank + 2);
  NOTP_ASSIGN(commit.version, take_version(rest));
  NOTP_ASSIGN(commit.release_hash, take_hash(rest, "Notp-Release"));
  NOTP_ASSIGN(commit.content_root, take_hash(rest, "Notp-Content-Root"));
  if (!rest.empty())
    return fail(ErrorCode::kCorrupt, "the commit message goes on after its trailers");
  return commit;
}

std::string tag_text(const NewRelease& release) {
  const trust::Release& statement = release.release;
  std::string text = fmt::format(
      "{} v{}\n\nRelease: {}\nPrevious: {}\nContent root: {}\nContent: {} files, {} bytes\n"
      "Roots: {}\n{}Publisher: {}\nIssued: {}\n",
      statement.ledger.uri(statement.trust_domain), statement.version,
      release.ref.release_hash.hex(),
      statement.previous_hash.is_zero() ? "none" : statement.previous_hash.hex(),
      statement.content_root.hex(), statement.file_count, statement.total_bytes,
      fmt::join(statement.data_roots, ", "),
      statement.source ? fmt::format("Source: {}.\n", trust::source_text(*statement.source)) : "",
      release.publisher, utc_time(statement.issued_ms));
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

std::string Withdrawal::text() const {
  return fmt::format("{} ({} at {})", reason, short_identity(identity), at);
}

Result<Withdrawal> make_withdrawal(std::string_view reason, std::string_view identity,
                                   TimeMs now_ms) {
  NOTP_TRY(check_publisher(identity));
  if (now_ms < 0 || now_ms > kTimeTextMaxMs)
    return fail(ErrorCode::kInternal, "a withdrawal outside the years 1970 to 9999");
  NOTP_ASSIGN(std::string words, plain_words(reason, "reason"));
  if (words.empty())
    return fail(ErrorCode::kUsage, "say why the release is withdrawn: the reason is empty");
  Withdrawal withdrawal{std::move(words), std::string(identity), utc_time(now_ms)};
  if (const size_t bytes = withdrawal.text().size(); bytes > limits::kErrorTextBytesMax)
    return fail(ErrorCode::kLimit,
                fmt::format("with who and when the reason has {} bytes; {} are allowed: shorten it",
                            bytes, limits::kErrorTextBytesMax));
  return withdrawal;
}

std::string withdrawal_text(const trust::Release& release, const Hash& hash,
                            const Withdrawal& withdrawal) {
  return fmt::format(
      "{} v{} is withdrawn\n\n{}\n\nNotp-Version: {}\nNotp-Release: {}\n"
      "Notp-Withdrawn-By: {}\nNotp-Withdrawn-At: {}\n",
      release.ledger.uri(release.trust_domain), release.version, withdrawal.reason, release.version,
      hash.hex(), withdrawal.identity, withdrawal.at);
}

Result<Withdrawal> parse_withdrawal_text(std::string_view text, uint64_t version,
                                         const Hash& hash) {
  const size_t subject = text.find("\n\n");
  const size_t blank = text.rfind("\n\n");
  if (subject == blank) return fail(ErrorCode::kCorrupt, "it has no reason, or no trailers");
  std::string_view rest = text.substr(blank + 2);
  NOTP_ASSIGN(const uint64_t named_version, take_version(rest));
  NOTP_ASSIGN(const Hash named, take_hash(rest, "Notp-Release"));
  if (named_version != version || named != hash)
    return fail(ErrorCode::kCorrupt, fmt::format("it is of v{} with the hash {}, not of this one",
                                                 named_version, named.brief()));
  NOTP_ASSIGN(const std::string_view by, take_trailer(rest, "Notp-Withdrawn-By"));
  NOTP_ASSIGN(const std::string_view at, take_trailer(rest, "Notp-Withdrawn-At"));
  if (!rest.empty()) return fail(ErrorCode::kCorrupt, "it goes on after its trailers");
  Withdrawal out{std::string(text.substr(subject + 2, blank - subject - 2)), std::string(by),
                 std::string(at)};
  if (out.reason.empty() || !is_utf8(text) || out.text().size() > limits::kErrorTextBytesMax)
    return fail(ErrorCode::kCorrupt, "its reason is empty, too long or not UTF-8");
  return out;
}

}  // namespace notp::registry
