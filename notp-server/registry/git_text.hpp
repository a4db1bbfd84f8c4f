// The text of a release in Git: the messages of its commit and its tag.
#pragma once

#include <string>
#include <string_view>

#include "common/crypto/digest.hpp"
#include "notp-server/registry/registry.hpp"

namespace notp::registry {

// Returns the publisher's message as stored: line ends are "\n", other control characters are
// spaces, no blank lines around. Empty text becomes "Release v<version>". kLimit over
// kErrorTextBytesMax, kUsage when it is not UTF-8.
Result<std::string> stored_message(std::string_view text, uint64_t version);

// Checks that Git keeps the identity unchanged as an author's name: printable ASCII, without '<',
// '>' and the punctuation that Git trims at either end. kUsage.
Result<void> check_publisher(std::string_view identity);

// "alice@publisher.core-platform.internal" for spiffe://core-platform.internal/publisher/alice. Git
// requires an address; no mail is read there.
std::string publisher_email(std::string_view identity, std::string_view trust_domain);

// "publisher/alice": an identity without its trust domain, for people.
std::string_view short_identity(std::string_view identity);

// The end of the year 9999: the latest time with a text form.
inline constexpr TimeMs kTimeTextMaxMs = 253'402'300'799'999;

struct CommitText {
  std::string message;
  uint64_t version = 0;
  Hash release_hash;
  Hash content_root;
};
// The message, a blank line, then the trailers Notp-Version, Notp-Release and Notp-Content-Root.
std::string commit_text(const CommitText& commit);
// kCorrupt when the last paragraph is not these three trailers.
Result<CommitText> parse_commit_text(std::string_view text);

// Lines for people, then the envelope in base64 between markers.
std::string tag_text(const NewRelease& release);
// Returns the envelope's bytes. kCorrupt when a marker is missing or the part in between is not
// base64.
Result<Bytes> parse_tag_envelope(std::string_view text);

// The record of a release's withdrawal.
struct Withdrawal {
  std::string reason;
  std::string identity;  // that withdrew it
  std::string at;        // as from utc_time()

  // "<reason> (<short identity> at <time>)", at most kErrorTextBytesMax
  std::string text() const;
};
// Normalises the reason's characters as in stored_message(). kUsage when it is empty or not UTF-8,
// or Git cannot store the identity; kLimit when the text would be too long.
Result<Withdrawal> make_withdrawal(std::string_view reason, std::string_view identity,
                                   TimeMs now_ms);
// A line for people, the reason, then the trailers Notp-Version, Notp-Release, Notp-Withdrawn-By
// and Notp-Withdrawn-At.
std::string withdrawal_text(const trust::Release& release, const Hash& hash,
                            const Withdrawal& withdrawal);
// kCorrupt unless the text is of the release with this version and hash.
Result<Withdrawal> parse_withdrawal_text(std::string_view text, uint64_t version, const Hash& hash);

}  // namespace notp::registry
