//! The classes and functions that a pickle may name. Naming one calls nothing: it stands for what
//! [`call`](super::call) makes of its arguments.

use crate::{DataType, Error, Result};

/// A class or function of the allow-list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Global {
    /// `dict`, `collections.OrderedDict` and `collections.Counter`.
    Dict,
    /// `collections.defaultdict`, whose first argument is a class.
    DefaultDict,
    /// `list`, `tuple`, `set`, `frozenset` and `torch.Size`.
    Sequence,
    /// `bool`, `int`, `float` and `str`.
    Scalar,
    /// Plain data that has no place in a checkpoint: bytes, complex numbers, devices.
    Aside,
    /// A class of storages, by the type of their elements; `None`: bytes of no type.
    Storage(Option<DataType>),
    /// `torch.float32` and the others.
    DataType(DataType),
    /// `torch.Tensor` and `torch.nn.Parameter`, as an argument only.
    TensorClass,
    /// `torch._utils._rebuild_tensor` of PyTorch 0.1, and `…_v2`, which begins with the same
    /// arguments: storage, offset, shape, strides.
    RebuildTensor,
    /// `torch._utils._rebuild_tensor_v3`: of untyped bytes, with the element type.
    RebuildTensorOfType,
    /// `torch._utils._rebuild_parameter`, also `…_with_state`: a tensor and what is not needed.
    RebuildParameter,
    /// `torch._tensor._rebuild_from_type_v2`: a tensor with attributes.
    RebuildFromType,
}

impl Global {
    /// The global that a pickle calls `module` and `name`; `None` for one that is not on the list, whose objects
    /// are set aside unread.
    ///
    /// # Errors
    /// [`Error::Unsupported`] with its name if it makes tensors of a kind that is not read, which must not be
    /// left out silently; or if it is one that only a file which means harm would name.
    pub(super) fn find(module: &str, name: &str) -> Result<Option<Self>> {
        let known = match module {
            "collections" => match name {
                "OrderedDict" | "Counter" => Some(Global::Dict),
                "defaultdict" => Some(Global::DefaultDict),
                _ => None,
            },
            // Python 2's name of the module, which Python 3 too writes up to protocol 2.
            "builtins" | "__builtin__" => match name {
                "dict" => Some(Global::Dict),
                "list" | "tuple" | "set" | "frozenset" => Some(Global::Sequence),
                "bool" | "int" | "long" | "float" | "str" | "unicode" => Some(Global::Scalar),
                "bytes" | "bytearray" | "complex" => Some(Global::Aside),
                _ => None,
            },
            // How bytes are written up to protocol 2.
            "_codecs" => (name == "encode").then_some(Global::Aside),
            "torch._utils" => match name {
                "_rebuild_tensor" | "_rebuild_tensor_v2" => Some(Global::RebuildTensor),
                "_rebuild_tensor_v3" => Some(Global::RebuildTensorOfType),
                "_rebuild_parameter" | "_rebuild_parameter_with_state" => {
                    Some(Global::RebuildParameter)
                }
                _ => None,
            },
            "torch._tensor" => (name == "_rebuild_from_type_v2").then_some(Global::RebuildFromType),
            "torch.nn.parameter" => {
                matches!(name, "Parameter" | "Buffer").then_some(Global::TensorClass)
            }
            "torch.storage" => (name == "UntypedStorage").then_some(Global::Storage(None)),
            "torch.cuda" => storage(name),
            "torch" => match name {
                "Size" => Some(Global::Sequence),
                "device" => Some(Global::Aside),
                "Tensor" => Some(Global::TensorClass),
                "UntypedStorage" => Some(Global::Storage(None)),
                _ => storage(name).or_else(|| data_type(name)),
            },
            _ => None,
        };
        if known.is_none() && (makes_tensors(module, name) || means_harm(module, name)) {
            let received = format!("{}.{}", module.escape_debug(), name.escape_debug());
            return Err(
                Error::unsupported("", "tensors and plain data only", received).help(
                    "nothing of a pickle is run; save the model's state_dict() with torch.save",
                ),
            );
        }
        Ok(known)
    }
}

/// Sparse, quantized, complex and other tensors.
fn makes_tensors(module: &str, name: &str) -> bool {
    let of_torch = module == "torch" || module.starts_with("torch.");
    of_torch && (name.starts_with("_rebuild_") || name.ends_with("Storage"))
}

/// What runs programs or opens files. Nothing is called in any case: it is said, because such a file is no
/// checkpoint.
fn means_harm(module: &str, name: &str) -> bool {
    match module {
        "builtins" | "__builtin__" => matches!(
            name,
            "eval" | "exec" | "execfile" | "compile" | "open" | "input" | "__import__" | "apply"
        ),
        "os" | "nt" | "posix" | "subprocess" | "commands" | "pty" | "shutil" | "socket" | "sys"
        | "runpy" | "importlib" | "ctypes" | "webbrowser" | "pickle" | "_pickle" | "torch.hub" => {
            true
        }
        _ => false,
    }
}

fn storage(name: &str) -> Option<Global> {
    let data_type = match name.strip_suffix("Storage")? {
        "Half" => DataType::F16,
        "BFloat16" => DataType::BF16,
        "Float" => DataType::F32,
        "Double" => DataType::F64,
        "Char" => DataType::I8,
        "Short" => DataType::I16,
        "Int" => DataType::I32,
        "Long" => DataType::I64,
        "Byte" => DataType::U8,
        "Bool" => DataType::Bool,
        _ => return None,
    };
    Some(Global::Storage(Some(data_type)))
}

fn data_type(name: &str) -> Option<Global> {
    let found = DataType::ALL
        .into_iter()
        .find(|data_type| data_type.name() == name)?;
    Some(Global::DataType(found))
}
