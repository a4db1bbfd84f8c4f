#include "common/rego/host/frames.hpp"

#include <algorithm>
#include <cstring>

namespace notp::rego {
namespace {

constexpr size_t kLengthBytes = 4, kHeadBytes = 9;  // length; length, id, operation

template <typename Unsigned>
void put_little_endian(Bytes& out, Unsigned value) {
  for (size_t i = 0; i < sizeof value; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

// Takes values off the front of a payload. After the first missing one every value is zero and ok()
// is false.
class Fields {
 public:
  explicit Fields(ByteView rest) : rest_(rest) {}

  uint8_t u8() { return number<uint8_t>(); }
  uint32_t u32() { return number<uint32_t>(); }
  uint64_t u64() { return number<uint64_t>(); }
  ByteView str(size_t bytes_max) {
    const uint32_t length = u32();
    if (!ok_ || length > rest_.size() || length > bytes_max) {
      ok_ = false;
      return {};
    }
    const ByteView text = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return text;
  }
  void require(bool condition) { ok_ = ok_ && condition; }
  bool ok() const { return ok_; }
  bool ended() const { return ok_ && rest_.empty(); }
  ByteView rest() const { return rest_; }

 private:
  template <typename Unsigned>
  Unsigned number() {
    if (!ok_ || rest_.size() < sizeof(Unsigned)) {
      ok_ = false;
      return 0;
    }
    Unsigned value = 0;
    for (size_t i = 0; i < sizeof value; ++i)
      value |= static_cast<Unsigned>(static_cast<Unsigned>(static_cast<unsigned char>(rest_[i]))
                                     << (8 * i));
    rest_.remove_prefix(sizeof value);
    return value;
  }

  ByteView rest_;
  bool ok_ = true;
};

std::unexpected<Error> undecodable(std::string_view what) {
  return fail(ErrorCode::kMessage,
              "the policy worker's " + std::string(what) + " does not decode or is too large");
}

Bytes head_of(uint32_t id, Operation operation, size_t payload_bytes) {
  Bytes head;
  put_u32(head, static_cast<uint32_t>(payload_bytes + kHeadBytes - kLengthBytes));
  put_u32(head, id);
  head.push_back(static_cast<char>(operation));
  return head;
}

// A frame of `fields`, then `text` with its length.
OutgoingFrame frame_with_text(uint32_t id, Operation operation, ByteView fields,
                              std::shared_ptr<const Bytes> text) {
  OutgoingFrame frame{head_of(id, operation, fields.size() + kLengthBytes + text->size()), {}};
  frame.head += fields;
  put_u32(frame.head, static_cast<uint32_t>(text->size()));
  frame.tail = std::move(text);
  return frame;
}

void put_input(Bytes& out, const InputText& input, ByteView presented = {}) {
  put_str(out, presented);
  out.push_back(input ? 1 : 0);
  put_str(out, input ? ByteView(*input) : ByteView());
}

void put_path(Bytes& out, std::span<const std::string> segments) {
  put_u16(out, static_cast<uint16_t>(segments.size()));
  for (const auto& segment : segments) put_str(out, segment);
}

// Everything but the inputs.
void put_request(Bytes& fields, const EvalRequest& request) {
  put_u64(fields, static_cast<uint64_t>(request.time_ns));
  put_u32(fields, request.flags);
  fields.push_back(static_cast<char>(request.form));
  fields.push_back(static_cast<char>(request.explain));
  put_path(fields, request.path);
  put_str(fields, request.log_event);
}

ByteView presented_of(const EvalRequest& request, size_t index) {
  return index < request.presented.size() ? ByteView(request.presented[index]) : ByteView();
}

size_t bytes_of(const EvalRequest& request) {
  size_t bytes = 64 + request.log_event.size();
  for (const Bytes& counts : request.presented) bytes += counts.size();
  for (const auto& segment : request.path) bytes += kLengthBytes + segment.size();
  return bytes;
}

std::unexpected<Error> oversized_question() {
  return fail(ErrorCode::kLimit, "the question is larger than one frame to the policy worker");
}

std::string text_of(ByteView bytes) {
  return is_utf8(bytes) ? std::string(bytes) : printable(bytes, limits::kErrorTextBytesMax);
}

// Returns JSON that is shown to the caller or recorded; drops bytes that are not text.
std::string json_of(ByteView bytes) { return is_utf8(bytes) ? std::string(bytes) : std::string(); }

// Bits with properties of an answer.
constexpr uint8_t kHasInput = 1, kRuleExists = 2;

EvaluatedInput evaluated(uint8_t outcome, uint8_t facts, ByteView value, ByteView extras) {
  EvaluatedInput input;
  input.has_input = (facts & kHasInput) != 0;
  input.rule_exists = (facts & kRuleExists) != 0;
  if (outcome == 1) input.value = Bytes(value);
  input.extras = Bytes(extras);
  return input;
}

}  // namespace

void put_u16(Bytes& out, uint16_t value) { put_little_endian(out, value); }
void put_u32(Bytes& out, uint32_t value) { put_little_endian(out, value); }
void put_u64(Bytes& out, uint64_t value) { put_little_endian(out, value); }
void put_str(Bytes& out, ByteView text) {
  put_u32(out, static_cast<uint32_t>(text.size()));
  out += text;
}

std::span<char> FrameReader::space(size_t bytes) {
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  // A large frame is done: releases its memory.
  if (end_ == 0 && buffer_.size() > (4U << 20)) Bytes().swap(buffer_);
  if (buffer_.size() < end_ + bytes) buffer_.resize(std::max(end_ + bytes, 2 * end_));
  return {buffer_.data() + end_, buffer_.size() - end_};
}

void FrameReader::filled(size_t bytes) { end_ = std::min(end_ + bytes, buffer_.size()); }

Result<std::optional<IncomingFrame>> FrameReader::next() {
  const ByteView available(buffer_.data() + begin_, end_ - begin_);
  if (available.size() < kLengthBytes) return std::nullopt;
  Fields fields(available);
  const uint32_t length = fields.u32();
  if (length < kHeadBytes - kLengthBytes || length > frame_bytes_max_ - kLengthBytes)
    return fail(ErrorCode::kFrame,
                "the policy worker sent a frame of " + std::to_string(length) + " bytes");
  if (fields.rest().size() < length) return std::nullopt;
  IncomingFrame frame;
  frame.id = fields.u32();
  frame.operation = fields.u8();
  frame.payload = available.substr(kHeadBytes, kLengthBytes + length - kHeadBytes);
  begin_ += kLengthBytes + length;
  return frame;
}

Result<EncodedQuestion> encode_question(const EvalRequest& request,
                                        std::span<const InputText> inputs) {
  const size_t bytes = bytes_of(request);
  size_t input_bytes = 0;
  for (const auto& input : inputs)
    input_bytes += 1 + 2 * kLengthBytes + (input ? input->size() : 0);
  if (request.path.size() > UINT16_MAX || inputs.size() > limits::kBatchInputsMax ||
      bytes + input_bytes + kHeadBytes > limits::kWorkerFrameBytesMax)
    return oversized_question();
  const bool is_batch = inputs.size() != 1;
  EncodedQuestion question{is_batch ? Operation::kEvalBatch : Operation::kEval, {}, {}};
  Bytes& fields = question.fields;
  fields.reserve(bytes + (is_batch ? input_bytes : 0));
  put_request(fields, request);
  if (is_batch) {
    put_u32(fields, static_cast<uint32_t>(inputs.size()));
    for (size_t i = 0; i < inputs.size(); ++i)
      put_input(fields, inputs[i], presented_of(request, i));
  } else {
    put_str(fields, presented_of(request, 0));
    fields.push_back(inputs[0] ? 1 : 0);
    put_u32(fields, static_cast<uint32_t>(inputs[0] ? inputs[0]->size() : 0));
    question.tail = inputs[0].shared();
  }
  return question;
}

OutgoingFrame frame_of(uint32_t id, const EncodedQuestion& question) {
  const size_t bytes = question.fields.size() + (question.tail ? question.tail->size() : 0);
  OutgoingFrame frame{head_of(id, question.operation, bytes), question.tail};
  frame.head += question.fields;
  return frame;
}

OutgoingFrame frame_of(uint32_t id, Operation operation, std::shared_ptr<const Bytes> payload) {
  const size_t bytes = payload ? payload->size() : 0;
  return {head_of(id, operation, bytes), std::move(payload)};
}

Result<OutgoingFrame> encode_replay(uint32_t id, const EvalRequest& request, const InputText& input,
                                    std::span<const std::vector<std::string>> hidden,
                                    std::shared_ptr<const Bytes> recorded) {
  size_t bytes = bytes_of(request) + (input ? input->size() : 0);
  bool has_long_path = request.path.size() > UINT16_MAX;
  for (const auto& path : hidden) {
    has_long_path = has_long_path || path.size() > UINT16_MAX;
    bytes += sizeof(uint16_t);
    for (const auto& name : path) bytes += kLengthBytes + name.size();
  }
  if (has_long_path || hidden.size() > UINT16_MAX ||
      bytes + recorded->size() + kHeadBytes > limits::kWorkerFrameBytesMax)
    return oversized_question();
  Bytes fields;
  fields.reserve(bytes);
  put_request(fields, request);
  put_input(fields, input);
  put_u16(fields, static_cast<uint16_t>(hidden.size()));
  for (const auto& path : hidden) put_path(fields, path);
  return frame_with_text(id, Operation::kReplay, fields, std::move(recorded));
}

OutgoingFrame encode_cancel(uint32_t id, uint32_t cancelled) {
  OutgoingFrame frame{head_of(id, Operation::kCancel, sizeof cancelled), {}};
  put_u32(frame.head, cancelled);
  return frame;
}

OutgoingFrame encode_stage_module(uint32_t id, const Hash& hash,
                                  std::shared_ptr<const Bytes> text) {
  Bytes fields(1, 1);
  fields += hash.view();
  return frame_with_text(id, Operation::kStage, fields, std::move(text));
}

OutgoingFrame encode_stage_document(uint32_t id, const Hash& hash, DocumentFormat format,
                                    std::shared_ptr<const Bytes> text) {
  Bytes fields(1, 2);
  fields += hash.view();
  fields.push_back(static_cast<char>(format));
  return frame_with_text(id, Operation::kStage, fields, std::move(text));
}

OutgoingFrame encode_stage_patch(uint32_t id, const Hash& result, const Hash& base,
                                 std::shared_ptr<const Bytes> changes) {
  Bytes fields(1, 3);
  fields += result.view();
  fields += base.view();
  return frame_with_text(id, Operation::kStage, fields, std::move(changes));
}

OutgoingFrame encode_drop(uint32_t id) { return {head_of(id, Operation::kDrop, 0), {}}; }

OutgoingFrame encode_text(uint32_t id, Operation operation, std::shared_ptr<const Bytes> text) {
  return frame_with_text(id, operation, {}, std::move(text));
}

OutgoingFrame encode_forget(uint32_t id, std::span<const Hash> hashes) {
  OutgoingFrame frame{
      head_of(id, Operation::kForget, sizeof(uint32_t) + hashes.size() * Hash::kSize), {}};
  put_u32(frame.head, static_cast<uint32_t>(hashes.size()));
  for (const Hash& hash : hashes) frame.head += hash.view();
  return frame;
}

Result<Hello> decode_hello(ByteView payload) {
  Fields fields(payload);
  Hello hello;
  hello.protocol = fields.u32();
  hello.opa_version = text_of(fields.str(limits::kNameBytesMax));
  // Later protocols may add fields: their supervisors read the number first.
  if (!fields.ok()) return undecodable("first frame");
  return hello;
}

Result<std::variant<ByteView, Failure>> decode_status(ByteView payload) {
  Fields fields(payload);
  const uint8_t status = fields.u8();
  if (!fields.ok() || status > 1) return undecodable("answer");
  if (status == 0) return fields.rest();
  Failure failure;
  failure.code = text_of(fields.str(limits::kNameBytesMax));
  failure.message = text_of(fields.str(limits::kWorkerTextBytesMax));
  failure.details = json_of(fields.str(limits::kWorkerTextBytesMax));
  failure.extras = json_of(fields.str(limits::kWorkerFrameBytesMax));
  if (!fields.ended()) return undecodable("failure");
  return failure;
}

Result<EvalAnswer> decode_evaluated(ByteView body, size_t value_bytes_max) {
  Fields fields(body);
  EvalAnswer answer;
  answer.snapshot = fields.u64();
  const uint8_t outcome = fields.u8(), facts = fields.u8();
  const ByteView value = fields.str(value_bytes_max);
  answer.time_ns = static_cast<int64_t>(fields.u64());
  answer.evaluation_ns = fields.u64();
  const ByteView extras = fields.str(limits::kWorkerFrameBytesMax);
  if (!fields.ended() || outcome > 1) return undecodable("decision");
  answer.inputs.push_back(evaluated(outcome, facts, value, extras));
  return answer;
}

Result<EvalAnswer> decode_evaluated_batch(ByteView body, size_t value_bytes_max) {
  Fields fields(body);
  EvalAnswer answer;
  answer.snapshot = fields.u64();
  answer.time_ns = static_cast<int64_t>(fields.u64());
  answer.evaluation_ns = fields.u64();
  const uint32_t inputs = fields.u32();
  fields.require(inputs <= limits::kBatchInputsMax);
  for (uint32_t i = 0; fields.ok() && i < inputs; ++i) {
    const uint8_t outcome = fields.u8(), facts = fields.u8();
    const ByteView value = fields.str(std::max(value_bytes_max, limits::kWorkerTextBytesMax));
    const ByteView code = fields.str(limits::kNameBytesMax);
    const ByteView details = fields.str(limits::kWorkerTextBytesMax);
    const ByteView extras = fields.str(limits::kWorkerFrameBytesMax);
    fields.require(outcome <= 2 && (outcome == 2 || value.size() <= value_bytes_max));
    answer.inputs.push_back(evaluated(outcome, facts, value, extras));
    if (outcome == 2) {
      answer.inputs.back().extras.clear();
      answer.inputs.back().failure =
          Failure{text_of(code), text_of(value), json_of(details), json_of(extras)};
    }
  }
  if (!fields.ended()) return undecodable("batch of decisions");
  return answer;
}

Result<ActivatedAnswer> decode_activated(ByteView body) {
  Fields fields(body);
  ActivatedAnswer answer;
  answer.snapshot = fields.u64();
  answer.units = fields.u32();
  answer.heap_bytes = fields.u64();
  if (!fields.ended()) return undecodable("answer to activate");
  return answer;
}

Result<ByteView> decode_text(ByteView body, size_t bytes_max) {
  Fields fields(body);
  const ByteView text = fields.str(bytes_max);
  if (!fields.ended()) return undecodable("report");
  return text;
}

Result<Progress> decode_progress(ByteView payload) {
  Fields fields(payload);
  Progress progress;
  progress.begins = fields.u8() != 0;
  progress.path = text_of(fields.str(limits::kErrorTextBytesMax));
  progress.row = fields.u32();
  progress.name = text_of(fields.str(limits::kErrorTextBytesMax));
  if (!fields.ended()) return undecodable("progress");
  return progress;
}

}  // namespace notp::rego
