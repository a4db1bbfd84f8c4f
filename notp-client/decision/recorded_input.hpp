// The input of a decision as its record has it.
#pragma once

#include <optional>

#include "notp-client/pdp/pdp.hpp"

namespace notp::decision {

// The JSON text of an input, as the caller sent it.
class RecordedInput {
 public:
  // Finds the input in what the caller sent, as the engine does: of a body the last member `input`,
  // in any case; text behind the first value of a body is not read. YAML becomes JSON. kMessage:
  // there is no such value; the engine has refused it, too. kLimit: more YAML than
  // kRecordedYamlBytesMax.
  static Result<RecordedInput> find(pdp::InputForm form, const pdp::InputText& sent);

  // nullopt: `input` was undefined. Refers to `sent`, or to this object.
  std::optional<ByteView> text() const {
    return converted_ ? std::optional<ByteView>(*converted_) : part_;
  }

 private:
  static Result<RecordedInput> of_yaml(ByteView sent, bool is_body);

  std::optional<ByteView> part_;
  std::optional<Bytes> converted_;
};

}  // namespace notp::decision
