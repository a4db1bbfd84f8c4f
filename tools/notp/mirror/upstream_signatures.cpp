#include "tools/notp/mirror/upstream_signatures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "protocol/trust/statements.hpp"

namespace notp::cli {
namespace {

constexpr std::string_view kSshBegin = "-----BEGIN SSH SIGNATURE-----";
constexpr std::array<std::string_view, 2> kPgpBegins = {"-----BEGIN PGP SIGNATURE-----",
                                                        "-----BEGIN PGP MESSAGE-----"};
constexpr std::string_view kX509Begin = "-----BEGIN SIGNED MESSAGE-----";
constexpr size_t kShownNameBytesMax = 200;

std::string_view take_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return line;
}

SignatureKind kind_of(std::string_view armour) {
  if (armour.starts_with(kSshBegin)) return SignatureKind::kSsh;
  if (std::ranges::any_of(kPgpBegins, [&](auto begin) { return armour.starts_with(begin); }))
    return SignatureKind::kOpenPgp;
  return armour.starts_with(kX509Begin) ? SignatureKind::kOther : SignatureKind::kNone;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::unexpected<Error> bad(std::string why) { return fail(ErrorCode::kSignature, std::move(why)); }

std::string last_word(std::string_view line) {
  return printable(line.substr(line.rfind(' ') + 1));  // npos + 1 is 0
}

// As ssh-keygen(1) of OpenSSH 9 says it through git 2.39.
std::unexpected<Error> ssh_fault(std::string_view raw, std::string_view key) {
  if (raw.contains("key has expired"))
    return fail(ErrorCode::kExpired, "is signed by a key that had expired by then");
  if (raw.contains("key is not yet valid")) return bad("is signed by a key that was not valid yet");
  if (raw.contains("is not permitted for use in signature namespace"))
    return bad("is signed by a key whose namespaces in allowed_signers do not include \"git\"");
  if (raw.contains("namespace does not match"))
    return bad("has a signature that was made for another purpose than Git's objects");
  if (raw.contains("incorrect signature"))
    return bad("has a signature of something else: it was changed after it was signed");
  if (raw.contains("revoked"))
    return fail(ErrorCode::kRevoked, "is signed by a key that is revoked");
  if (!key.empty() && raw.contains("No principal matched"))
    return bad(fmt::format("is signed by a key that is not in allowed_signers: {}", key));
  return bad(fmt::format("has a signature that cannot be verified: {}", printable(raw)));
}

// The words of status lines (GnuPG, doc/DETAILS).
struct GpgStatus {
  size_t good = 0, valid = 0, faults = 0;
  bool is_expired = false, is_revoked = false, is_unknown = false, is_bad = false;
  UpstreamSigner signer;
  std::string unknown_key;

  void read(std::string_view line) {
    if (!take(line, "[GNUPG:] ")) return;
    const std::string_view word = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(line.size(), word.size() + 1));
    const auto fault = [this](bool& flag) {
      flag = true;
      ++faults;
    };
    if (word == "GOODSIG") {
      ++good;
      signer.name = line.substr(std::min(line.size(), line.find(' ') + 1));
    } else if (word == "VALIDSIG") {
      ++valid;
      signer.key = line.substr(line.rfind(' ') + 1);  // the primary key's fingerprint
    } else if (word == "EXPKEYSIG" || word == "EXPSIG") {
      fault(is_expired);
    } else if (word == "REVKEYSIG") {
      fault(is_revoked);
    } else if (word == "ERRSIG") {
      fault(is_unknown);
      unknown_key = printable(line.substr(0, line.find(' ')));
    } else if (word == "BADSIG") {
      fault(is_bad);
    }
  }
};

std::string ascii(std::string_view text) {
  std::string out(text.substr(0, kShownNameBytesMax));
  std::ranges::replace_if(out, [](char c) { return c < ' ' || c > '~'; }, '?');
  return out;
}

}  // namespace

SignatureKind signature_kind_of_commit(ByteView content) {
  SignatureKind kind = SignatureKind::kNone;
  size_t count = 0;
  while (!content.empty()) {
    std::string_view line = take_line(content);
    if (line.empty()) break;
    if (!take(line, "gpgsig ") && !take(line, "gpgsig-sha256 ")) continue;
    kind = kind_of(line);
    ++count;
  }
  return count > 1 ? SignatureKind::kOther : kind;
}

// git verifies the last one.
SignatureKind signature_kind_of_tag(ByteView content) {
  SignatureKind kind = SignatureKind::kNone;
  while (!content.empty())
    if (const SignatureKind found = kind_of(take_line(content)); found != SignatureKind::kNone)
      kind = found;
  return kind;
}

Result<TagObject> parse_tag(ByteView content) {
  std::string_view object = take_line(content), type = take_line(content),
                   name = take_line(content);
  if (!take(object, "object ") || !take(type, "type ") || !take(name, "tag ") ||
      !trust::is_commit_id(object))
    return bad("is not a tag as git makes it");
  return TagObject{std::string(object), std::string(type), std::string(name)};
}

Result<UpstreamSigner> ssh_signer_of(bool is_good, std::string_view raw) {
  std::vector<UpstreamSigner> found;
  std::string unlisted_key;
  for (std::string_view rest = raw; !rest.empty();) {
    std::string_view line = take_line(rest);
    if (take(line, "Good \"git\" signature for ")) {
      const size_t end = line.rfind(" with ");
      if (end != line.npos) found.push_back({std::string(line.substr(0, end)), last_word(line)});
    } else if (take(line, "Good \"git\" signature with ")) {
      unlisted_key = last_word(line);
    }
  }
  if (is_good && found.size() == 1 && !found.front().name.empty()) return found.front();
  return ssh_fault(raw, unlisted_key);
}

Result<UpstreamSigner> gpg_signer_of(bool is_good, std::string_view raw) {
  GpgStatus status;
  for (std::string_view rest = raw; !rest.empty();) status.read(take_line(rest));
  if (is_good && status.good == 1 && status.valid == 1 && status.faults == 0 &&
      !status.signer.key.empty())
    return status.signer;
  if (status.is_bad)
    return bad("has a signature of something else: it was changed after it was signed");
  if (status.is_revoked) return fail(ErrorCode::kRevoked, "is signed by a key that is revoked");
  if (status.is_expired) return fail(ErrorCode::kExpired, "is signed by a key that has expired");
  if (status.is_unknown)
    return bad(fmt::format("is signed by a key that is not in gpg_home: {}", status.unknown_key));
  return bad(fmt::format("has a signature that cannot be verified: {}", printable(raw)));
}

void UpstreamSigners::add(UpstreamSigner signer) {
  const bool is_known = std::ranges::any_of(signers_, [&](const UpstreamSigner& known) {
    return known.name == signer.name || known.key == signer.key;
  });
  if (!is_known) signers_.push_back(std::move(signer));
}

std::string UpstreamSigners::text() const {
  std::string out;
  for (const UpstreamSigner& signer : signers_) {
    std::string next =
        fmt::format("{}{} ({})", out.empty() ? "" : "; ", ascii(signer.name), ascii(signer.key));
    if (out.size() + next.size() > limits::kSourceTextBytesMax) break;
    out += next;
  }
  return out;
}

}  // namespace notp::cli
