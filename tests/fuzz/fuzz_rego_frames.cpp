// Untrusted output of a policy worker. The first byte chooses: 0 a stream, which the second byte
// breaks into fragments; then answers by their operation, and a report. Each is refused, or the
// accepted values are within the limits.
#include <algorithm>
#include <cstdint>

#include "common/assert.hpp"
#include "common/random.hpp"
#include "common/rego/host/activation.hpp"
#include "common/rego/host/check_messages.hpp"
#include "common/rego/host/frames.hpp"

namespace {

using namespace notp;
using namespace notp::rego;

constexpr size_t kFrameBytesMax = 1 << 16;
constexpr size_t kValueBytesMax = 256;

struct Seen {
  Bytes frames;
  bool is_broken = false;
  bool operator==(const Seen&) const = default;
};

Seen read(ByteView stream, uint64_t seed) {
  Seen seen;
  FrameReader reader(kFrameBytesMax);
  SeededRandom random(seed);
  while (!stream.empty() && !seen.is_broken) {
    const auto fragment = stream.substr(0, seed == 0 ? stream.size() : 1 + random.below(seed));
    stream.remove_prefix(fragment.size());
    const auto space = reader.space(fragment.size());
    std::ranges::copy(fragment, space.begin());
    reader.filled(fragment.size());
    for (;;) {
      const auto next = reader.next();
      seen.is_broken = !next;
      if (!next || !*next) break;
      put_u32(seen.frames, (*next)->id);
      seen.frames.push_back(static_cast<char>((*next)->operation));
      put_str(seen.frames, (*next)->payload);
    }
  }
  return seen;
}

void check_failure(const Failure& failure) {
  NOTP_ASSERT(is_utf8(failure.code) && is_utf8(failure.message), "a failure that is no text");
  NOTP_ASSERT(is_utf8(failure.details) && is_utf8(failure.extras), "JSON that is no text");
}

void check_inputs(const Result<EvalAnswer>& answer, size_t inputs_max) {
  if (!answer) return;
  NOTP_ASSERT(answer->inputs.size() <= inputs_max, "more inputs than were asked");
  for (const auto& input : answer->inputs) {
    NOTP_ASSERT(!input.value || input.value->size() <= kValueBytesMax, "a value beyond its limit");
    if (!input.failure) continue;
    NOTP_ASSERT(!input.value && input.extras.empty(), "a failure that is a decision, too");
    check_failure(*input.failure);
  }
}

void check_status(ByteView payload) {
  const auto status = decode_status(payload);
  if (!status) return;
  if (const auto* failure = std::get_if<Failure>(&*status)) check_failure(*failure);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const ByteView rest(reinterpret_cast<const char*>(data) + 2, size - 2);
  switch (data[0] % 9) {
    case 0:
      NOTP_ASSERT(read(rest, 0) == read(rest, data[1]), "fragmentation changes nothing");
      break;
    case 1:
      check_inputs(decode_evaluated(rest, kValueBytesMax), 1);
      break;
    case 2:
      check_inputs(decode_evaluated_batch(rest, kValueBytesMax), limits::kBatchInputsMax);
      break;
    case 3:
      check_status(rest);
      break;
    case 4:
      static_cast<void>(decode_hello(rest));
      static_cast<void>(decode_activated(rest));
      static_cast<void>(decode_progress(rest));
      break;
    case 5:
      if (const auto findings = decode_findings(rest))
        NOTP_ASSERT(findings->size() <= limits::kFindingsMax, "more findings than may be");
      break;
    case 6:
      static_cast<void>(decode_report(rest));
      break;
    case 7:
      static_cast<void>(decode_stubs(rest));
      break;
    default:
      if (const auto text = decode_text(rest, kValueBytesMax))
        NOTP_ASSERT(text->size() <= kValueBytesMax, "a text beyond its limit");
  }
  return 0;
}
