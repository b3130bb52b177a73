#include "controlplane/quota/reflection_service.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"

namespace signalbox {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

void Refuse(grpc::StatusCode code, const std::string& text, ServerReflectionResponse& response) {
  response.mutable_error_response()->set_error_code(code);
  response.mutable_error_response()->set_error_message(text);
}

// The file, then what it imports, each once.
void AddFiles(const FileDescriptor& file, std::set<const FileDescriptor*>& added, ServerReflectionResponse& response) {
  if (!added.insert(&file).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  response.mutable_file_descriptor_response()->add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) AddFiles(*file.dependency(i), added, response);
}

void AnswerFile(const FileDescriptor* file, const std::string& asked, ServerReflectionResponse& response) {
  if (file == nullptr) return Refuse(grpc::StatusCode::NOT_FOUND, absl::StrCat("not found: ", asked), response);
  std::set<const FileDescriptor*> added;
  AddFiles(*file, added, response);
}

void AnswerExtension(const DescriptorPool& pool, const std::string& type, int number,
                     ServerReflectionResponse& response) {
  const Descriptor* const extended = pool.FindMessageTypeByName(type);
  const FieldDescriptor* const extension = extended == nullptr ? nullptr : pool.FindExtensionByNumber(extended, number);
  AnswerFile(extension == nullptr ? nullptr : extension->file(), absl::StrCat("extension ", number, " of ", type),
             response);
}

void AnswerExtensions(const DescriptorPool& pool, const std::string& type, ServerReflectionResponse& response) {
  const Descriptor* const extended = pool.FindMessageTypeByName(type);
  if (extended == nullptr) return Refuse(grpc::StatusCode::NOT_FOUND, absl::StrCat("not found: ", type), response);
  auto& answer = *response.mutable_all_extension_numbers_response();
  answer.set_base_type_name(type);
  std::vector<const FieldDescriptor*> extensions;
  pool.FindAllExtensions(extended, &extensions);
  for (const FieldDescriptor* const extension : extensions) answer.add_extension_number(extension->number());
}

}  // namespace

// One client's stream; owns itself. One operation is under way at any time.
class ReflectionService::Stream {
 public:
  static void Await(CallLoop& loop, ReflectionService& reflection) {
    auto* const stream = new Stream(loop, reflection);
    reflection.service_.RequestServerReflectionInfo(&stream->context_, &stream->stream_, loop.queue(), loop.queue(),
                                                    stream->arrive_.tag());
  }

 private:
  template <void (Stream::*Handle)(bool)>
  using Operation = CallLoop::Operation<Stream, Handle>;

  Stream(CallLoop& loop, ReflectionService& reflection) : presence_(loop), loop_(loop), reflection_(reflection) {}

  void OnArrived(bool ok) {
    if (!ok) {  // the server is shut down
      delete this;
      return;
    }
    Await(loop_, reflection_);
    stream_.Read(&request_, read_.tag());
  }
  void OnRead(bool ok) {
    if (!ok) return stream_.Finish(grpc::Status::OK, finish_.tag());  // the client has no more questions, or is gone
    stream_.Write(reflection_.Answer(request_), write_.tag());
  }
  void OnWritten(bool ok) {
    if (!ok) return stream_.Finish(grpc::Status::CANCELLED, finish_.tag());
    stream_.Read(&request_, read_.tag());
  }
  void OnFinished(bool) { delete this; }

  const CallLoop::Presence presence_;  // ends last
  CallLoop& loop_;
  ReflectionService& reflection_;
  grpc::ServerContext context_;
  ServerReflectionRequest request_;
  grpc::ServerAsyncReaderWriter<ServerReflectionResponse, ServerReflectionRequest> stream_{&context_};
  Operation<&Stream::OnArrived> arrive_{*this};
  Operation<&Stream::OnRead> read_{*this};
  Operation<&Stream::OnWritten> write_{*this};
  Operation<&Stream::OnFinished> finish_{*this};
};

void ReflectionService::Start(CallLoop& loop) { Stream::Await(loop, *this); }

ServerReflectionResponse ReflectionService::Answer(const ServerReflectionRequest& request) const {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kFileByFilename:
      AnswerFile(pool.FindFileByName(request.file_by_filename()), request.file_by_filename(), response);
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      AnswerFile(pool.FindFileContainingSymbol(request.file_containing_symbol()), request.file_containing_symbol(),
                 response);
      break;
    case ServerReflectionRequest::kFileContainingExtension:
      AnswerExtension(pool, request.file_containing_extension().containing_type(),
                      request.file_containing_extension().extension_number(), response);
      break;
    case ServerReflectionRequest::kAllExtensionNumbersOfType:
      AnswerExtensions(pool, request.all_extension_numbers_of_type(), response);
      break;
    case ServerReflectionRequest::kListServices:
      for (const std::string& name : services_)
        response.mutable_list_services_response()->add_service()->set_name(name);
      break;
    case ServerReflectionRequest::MESSAGE_REQUEST_NOT_SET:
      Refuse(grpc::StatusCode::INVALID_ARGUMENT, "no question in the request", response);
      break;
  }
  return response;
}

}  // namespace signalbox
