// Untrusted envelopes and statements: decoding either fails or gives a value that encodes to the
// same bytes, and nothing unsigned verifies, in any position of an update.
#include "common/assert.hpp"
#include "tests/support/wire/signed_samples.hpp"

namespace {

using namespace notp;

template <typename Statement>
void check_one_encoding(ByteView input) {
  if (const auto statement = Statement::decode(input))
    NOTP_ASSERT(statement->encode() == input, "a statement with two encodings");
}

// In the payload of its type.
void check_class_freshness(ByteView payload) {
  const trust::Envelope envelope{Bytes(payload), std::string(trust::kClassFreshnessType), {}};
  const auto statement = trust::Freshness::decode(envelope);
  if (!statement) return;
  NOTP_ASSERT(statement->encode() == payload, "a statement with two encodings");
  NOTP_ASSERT(statement->class_id && !trust::Freshness::decode(payload),
              "a statement for a class that is for one reader, too");
}

void check_update(const trust::Update& update, const trust::Trusted& trusted, ByteView input) {
  std::vector<trust::VerifyStep> steps;
  const trust::Verdict verdict = trust::verify_update(update, trusted, samples::kIssuedMs, &steps);
  for (const trust::VerifyStep& step : steps)
    NOTP_ASSERT(step.passed || (&step == &steps.back() && verdict.error), "a failed check passed");
  for (const trust::VerifiedRoot& root : verdict.root_chain)
    NOTP_ASSERT(root.envelope == input, "a root that was not kept as it came");
  if (verdict.freshness) {
    NOTP_ASSERT(verdict.freshness->envelope == input, "freshness that was not kept as it came");
    const trust::Freshness& freshness = verdict.freshness->freshness;
    NOTP_ASSERT(freshness.class_id ? freshness.class_id == samples::class_id()
                                   : freshness.audience == samples::kNode,
                "another's freshness");
  }
  if (verdict.assignment) {
    NOTP_ASSERT(verdict.assignment->envelope == input, "an assignment not kept as it came");
    NOTP_ASSERT(verdict.assignment->assignment.audience == samples::kNode, "another's assignment");
  }
  if (verdict.release) {
    NOTP_ASSERT(verdict.release->release().ledger == samples::kLedger,
                "a release of another ledger");
    NOTP_ASSERT(verdict.release->envelope == input, "an envelope that was not kept as it came");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ByteView input(reinterpret_cast<const char*>(data), size);
  static const trust::Trusted trusted = [] {
    trust::Trusted made = samples::trusting(samples::tracked_root());
    made.assignment = samples::assignment(4);
    return made;
  }();

  check_one_encoding<trust::Release>(input);
  check_one_encoding<trust::Root>(input);
  check_one_encoding<trust::Freshness>(input);
  check_one_encoding<trust::Assignment>(input);
  check_class_freshness(input);
  if (const auto envelope = trust::Envelope::decode(input)) {
    NOTP_ASSERT(envelope->encode() == input, "an envelope with two encodings");
    check_one_encoding<trust::Release>(envelope->payload);
    check_one_encoding<trust::Root>(envelope->payload);
    check_one_encoding<trust::Freshness>(envelope->payload);
    check_one_encoding<trust::Assignment>(envelope->payload);
    check_class_freshness(envelope->payload);
  }
  trust::Update as_root, as_freshness, as_release, as_assignment;
  as_root.root_chain = {input, input};
  as_freshness.freshness = input;
  as_freshness.expected = {samples::kLedger};
  as_release.release = input;
  as_release.release_ledger = samples::kLedger;
  as_assignment.assignment = input;
  for (const trust::Update* update : {&as_root, &as_freshness, &as_release, &as_assignment})
    check_update(*update, trusted, input);
  static_cast<void>(trust::verify_pinned_root(input, samples::kDomain));
  return 0;
}
