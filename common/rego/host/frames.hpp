// Frames between a supervisor and its worker (common/rego/worker/README.md): pure functions.
//
// A worker runs foreign policies, so its output is untrusted: every length is limited and its
// output cannot fail an assertion.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/bytes.hpp"
#include "common/crypto/digest.hpp"
#include "common/limits.hpp"
#include "common/rego/host/question.hpp"
#include "common/rego/snapshot.hpp"

namespace notp::rego {

inline constexpr uint32_t kWorkerProtocol = 7;

enum class Operation : uint8_t {
  kHello = 0,
  kEval = 1,
  kEvalBatch = 2,
  kCancel = 3,
  kStage = 4,
  kActivate = 5,
  kDrop = 6,
  kCheck = 7,
  kStubs = 8,
  kStats = 9,
  kForget = 10,
  kProgress = 11,
  kReplay = 12,
  kTokens = 13,
};

class SharedBytes;

// A frame on its way to a worker: its bytes are `head`, then `tail`.
struct OutgoingFrame {
  Bytes head;
  std::shared_ptr<const Bytes> tail = nullptr;  // may be null
  // Whose descriptors go with the first byte; of kTokens.
  std::vector<std::shared_ptr<const SharedBytes>> files = {};
  size_t size() const { return head.size() + (tail ? tail->size() : 0); }
};

// A frame from a worker; its payload lies in the reader's buffer.
struct IncomingFrame {
  uint32_t id = 0;
  uint8_t operation = 0;
  ByteView payload;
};

// Splits a byte stream into frames. One thread.
class FrameReader {
 public:
  // `frame_bytes_max` includes the length field.
  explicit FrameReader(size_t frame_bytes_max = limits::kWorkerFrameBytesMax)
      : frame_bytes_max_(frame_bytes_max) {}
  // The caller reads into space(), then reports the number of bytes with filled().
  std::span<char> space(size_t bytes);
  void filled(size_t bytes);
  // Returns the next frame; nullopt while it is incomplete. The payload lives until the next call
  // of space(). kFrame: too long or too short.
  Result<std::optional<IncomingFrame>> next();

 private:
  const size_t frame_bytes_max_;
  Bytes buffer_;
  size_t begin_ = 0, end_ = 0;
};

// --- requests. The caller chooses an `id`, not 0.
struct EvalRequest {
  int64_t time_ns = 0;  // 0: the worker's clock
  uint32_t flags = 0;
  std::span<const std::string> path;
  InputForm form = InputForm::kValue;
  ExplainMode explain = ExplainMode::kOff;
  std::string_view log_event = {};  // as in Question
  std::span<const Bytes> presented = {};
};
// An eval, or an eval_batch unless there is exactly one input. It may be sent several times.
struct EncodedQuestion {
  Operation operation = Operation::kEval;
  Bytes fields;                       // the payload's beginning
  std::shared_ptr<const Bytes> tail;  // its end: a single input, which is not copied
};
// kLimit: the frame would be too large.
Result<EncodedQuestion> encode_question(const EvalRequest& request,
                                        std::span<const InputText> inputs);
OutgoingFrame frame_of(uint32_t id, const EncodedQuestion& question);
OutgoingFrame frame_of(uint32_t id, Operation operation, std::shared_ptr<const Bytes> payload);
// An eval of what was recorded: `recorded` is the JSON of the results of non-deterministic
// built-ins. With paths of `hidden` values below input, the value of the answer is whether the
// result may depend on them. kLimit: the frame would be too large.
Result<OutgoingFrame> encode_replay(uint32_t id, const EvalRequest& request, const InputText& input,
                                    std::span<const std::vector<std::string>> hidden,
                                    std::shared_ptr<const Bytes> recorded);
OutgoingFrame encode_cancel(uint32_t id, uint32_t cancelled);
OutgoingFrame encode_stage_module(uint32_t id, const Hash& hash, std::shared_ptr<const Bytes> text);
OutgoingFrame encode_stage_document(uint32_t id, const Hash& hash, DocumentFormat format,
                                    std::shared_ptr<const Bytes> text);
OutgoingFrame encode_stage_patch(uint32_t id, const Hash& result, const Hash& base,
                                 std::shared_ptr<const Bytes> changes);
OutgoingFrame encode_drop(uint32_t id);
// kCheck, kStubs: one JSON text.
OutgoingFrame encode_text(uint32_t id, Operation operation, std::shared_ptr<const Bytes> text);
OutgoingFrame encode_forget(uint32_t id, std::span<const Hash> hashes);

// --- answers. kMessage: undecodable, or beyond the given limits.
struct Hello {
  uint32_t protocol = 0;
  std::string opa_version;
};
Result<Hello> decode_hello(ByteView payload);

// A request that the worker could not carry out.
struct Failure {
  std::string code;
  std::string message;
  std::string details = {};  // of an evaluation: JSON array of OPA's errors; empty: none
  std::string extras = {};   // of an evaluation: JSON object; empty: none
  bool operator==(const Failure&) const = default;
};
// Returns the bytes after the status, or the failure.
Result<std::variant<ByteView, Failure>> decode_status(ByteView payload);

struct EvaluatedInput {
  std::optional<Bytes> value;  // nullopt: undefined
  Bytes extras;                // JSON object; empty: none, or in `failure`
  bool has_input = false, rule_exists = false;
  std::optional<Failure> failure;  // of a batch's input
};
struct EvalAnswer {
  uint64_t snapshot = 0;
  int64_t time_ns = 0;
  uint64_t evaluation_ns = 0;
  std::vector<EvaluatedInput> inputs;
};
// `value_bytes_max` limits one value.
Result<EvalAnswer> decode_evaluated(ByteView body, size_t value_bytes_max);
Result<EvalAnswer> decode_evaluated_batch(ByteView body, size_t value_bytes_max);

struct ActivatedAnswer {
  uint64_t snapshot = 0;
  uint32_t units = 0;
  uint64_t heap_bytes = 0;
};
Result<ActivatedAnswer> decode_activated(ByteView body);
// Decodes one text that fills the body.
Result<ByteView> decode_text(ByteView body, size_t bytes_max);

// Activity of a worker during a validation, sent unasked, to find the cause if it ends.
struct Progress {
  bool begins = false;  // false: it has ended
  std::string path;
  uint32_t row = 0;
  std::string name;  // "data.a.b.test_x"; empty: compiling
};
Result<Progress> decode_progress(ByteView payload);

// --- building payloads, little-endian
void put_u16(Bytes& out, uint16_t value);
void put_u32(Bytes& out, uint32_t value);
void put_u64(Bytes& out, uint64_t value);
void put_str(Bytes& out, ByteView text);

}  // namespace notp::rego
