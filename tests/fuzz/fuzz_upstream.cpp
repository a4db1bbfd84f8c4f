// What an upstream repository's server and objects say. The first byte chooses: a list of refs, of
// which the newest tag does not depend on the list's order; a commit or tag object; what git has
// found of a signature, from which a signer comes only as printable text.
#include <algorithm>

#include "common/assert.hpp"
#include "protocol/trust/statements.hpp"
#include "tools/notp/mirror/upstream_refs.hpp"
#include "tools/notp/mirror/upstream_signatures.hpp"

namespace {

using namespace notp;

void read_refs(ByteView text) {
  auto refs = cli::parse_refs(text);
  if (!refs) return;
  for (const cli::UpstreamRef& ref : *refs) {
    NOTP_ASSERT(cli::check_ref_name(ref.name), "a name that is refused");
    NOTP_ASSERT(trust::is_commit_id(ref.id), "an id that is none");
    NOTP_ASSERT(ref.peeled.empty() || trust::is_commit_id(ref.peeled), "an id that is none");
  }
  for (const char* pattern : {"v*", "*", "release-[0-9]*-*"}) {
    const auto newest = cli::newest_tag(*refs, pattern);
    std::ranges::reverse(*refs);
    const auto again = cli::newest_tag(*refs, pattern);
    NOTP_ASSERT(newest.has_value() == again.has_value(), "a tag in one order only");
    NOTP_ASSERT(!newest || newest->name == again->name, "the newest tag depends on the order");
  }
}

void read_signer(Result<cli::UpstreamSigner> signer) {
  if (!signer) return;
  cli::UpstreamSigners signers;
  signers.add(*signer);
  signers.add(*std::move(signer));
  NOTP_ASSERT(signers.count() == 1, "a signer counts twice");
  const std::string text = signers.text();
  NOTP_ASSERT(text.size() <= limits::kSourceTextBytesMax, "a signer's text is too long");
  NOTP_ASSERT(std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; }),
              "a signer's text is not printable");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0]) {
    case 'r':
      read_refs(text);
      break;
    case 'c':
      cli::signature_kind_of_commit(text);
      break;
    case 't':
      cli::signature_kind_of_tag(text);
      if (const auto tag = cli::parse_tag(text))
        NOTP_ASSERT(trust::is_commit_id(tag->object), "an id that is none");
      break;
    case 's':
      read_signer(cli::ssh_signer_of(true, text));
      NOTP_ASSERT(!cli::ssh_signer_of(false, text), "a signer against git's verdict");
      break;
    case 'g':
      read_signer(cli::gpg_signer_of(true, text));
      NOTP_ASSERT(!cli::gpg_signer_of(false, text), "a signer against git's verdict");
      break;
    default:
      break;
  }
  return 0;
}
