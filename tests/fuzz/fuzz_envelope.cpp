// Envelopes and statements from a stranger: decoding either fails or gives what encodes to the very
// same bytes, and nothing unsigned verifies.
#include "common/assert.hpp"
#include "tests/support/signed_samples.hpp"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace notp;
  const ByteView input(reinterpret_cast<const char*>(data), size);
  static const Root root = samples::root();

  if (const auto release = Release::decode(input))
    NOTP_ASSERT(release->encode() == input, "a release with two encodings");
  if (const auto decoded = Root::decode(input))
    NOTP_ASSERT(decoded->encode() == input, "a root with two encodings");
  if (const auto envelope = Envelope::decode(input)) {
    NOTP_ASSERT(envelope->encode() == input, "an envelope with two encodings");
    static_cast<void>(Release::decode(envelope->payload));
    static_cast<void>(Root::decode(envelope->payload));
  }
  const auto verified = verify_release(input, root, samples::kLedger, Floor{}, samples::kIssuedMs);
  if (verified) {
    NOTP_ASSERT(verified->release.ledger == samples::kLedger, "a release of another ledger");
    NOTP_ASSERT(verified->envelope == input, "an envelope that was not kept as it came");
  }
  static_cast<void>(verify_pinned_root(input, samples::kDomain));
  return 0;
}
