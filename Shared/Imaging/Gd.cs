using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace MlExperiments.Shared.Imaging;

/// <summary>
/// The part of libgd that decoding needs. Only functions, never libgd's structures, whose layout is its own business. An image is a
/// pointer that <see cref="Destroy"/> frees; a colour is 0xAARRGGBB with an alpha from 0 (opaque) to 127 (transparent).
/// </summary>
internal static unsafe partial class Gd
{
    private const string Library = "libgd.so.3";

    static Gd()
    {
        // Found once here: a failing DllImport says neither which package to install nor for which system.
        if (!NativeLibrary.TryLoad(Library, Assembly.GetExecutingAssembly(), DllImportSearchPath.SafeDirectories, out _))
            throw new ImageLibraryMissingException();

        // By default libgd writes what it thinks of damaged images to standard error.
        SetErrorMethod(&Ignore);
    }

    /// <summary>Loads the library.</summary>
    /// <exception cref="ImageLibraryMissingException">It is not installed.</exception>
    public static void EnsureLoaded()
    {
        try
        {
            RuntimeHelpers.RunClassConstructor(typeof(Gd).TypeHandle);
        }
        catch (TypeInitializationException exception) when (exception.InnerException is ImageLibraryMissingException missing)
        {
            throw new ImageLibraryMissingException(missing);
        }
    }

    [LibraryImport(Library, EntryPoint = "gdImageCreateFromPngPtr")]
    public static partial nint CreateFromPng(int size, byte* data);

    /// <summary>With <paramref name="ignoreWarnings"/>, what libjpeg can make of damaged data is kept.</summary>
    [LibraryImport(Library, EntryPoint = "gdImageCreateFromJpegPtrEx")]
    public static partial nint CreateFromJpeg(int size, byte* data, int ignoreWarnings);

    [LibraryImport(Library, EntryPoint = "gdImageCreateFromGifPtr")]
    public static partial nint CreateFromGif(int size, byte* data);

    [LibraryImport(Library, EntryPoint = "gdImageCreateFromBmpPtr")]
    public static partial nint CreateFromBmp(int size, byte* data);

    [LibraryImport(Library, EntryPoint = "gdImageCreateFromWebpPtr")]
    public static partial nint CreateFromWebp(int size, byte* data);

    [LibraryImport(Library, EntryPoint = "gdImageCreateTrueColor")]
    public static partial nint CreateTrueColor(int width, int height);

    [LibraryImport(Library, EntryPoint = "gdImageDestroy")]
    public static partial void Destroy(nint image);

    /// <summary>The clip rectangle, both corners inclusive; of a fresh image, all of it.</summary>
    [LibraryImport(Library, EntryPoint = "gdImageGetClip")]
    public static partial void GetClip(nint image, out int left, out int top, out int right, out int bottom);

    [LibraryImport(Library, EntryPoint = "gdImageFilledRectangle")]
    public static partial void FillRectangle(nint image, int left, int top, int right, int bottom, int color);

    [LibraryImport(Library, EntryPoint = "gdImageCopy")]
    public static partial void Copy(nint target, nint source, int targetX, int targetY, int sourceX, int sourceY, int width, int height);

    /// <summary>Each target pixel becomes the mean of the source area below it, transparency taken into account.</summary>
    [LibraryImport(Library, EntryPoint = "gdImageCopyResampled")]
    public static partial void CopyResampled(
        nint target, nint source, int targetX, int targetY, int sourceX, int sourceY,
        int targetWidth, int targetHeight, int sourceWidth, int sourceHeight);

    [LibraryImport(Library, EntryPoint = "gdImageGetTrueColorPixel")]
    [SuppressGCTransition]
    public static partial int GetPixel(nint image, int x, int y);

    [LibraryImport(Library, EntryPoint = "gdSetErrorMethod")]
    private static partial void SetErrorMethod(delegate* unmanaged<int, byte*, void*, void> method);

    // The third argument is a va_list: passed as a pointer on x86-64 and on arm64 alike.
    [UnmanagedCallersOnly]
    private static void Ignore(int priority, byte* format, void* arguments)
    {
    }
}

/// <summary>libgd is not installed.</summary>
public sealed class ImageLibraryMissingException : Exception
{
    private const string Words =
        "Images can't be decoded because libgd is missing: install the package libgd3 (Debian, Ubuntu: apt-get install libgd3).";

    public ImageLibraryMissingException() : base(Words)
    {
    }

    public ImageLibraryMissingException(Exception inner) : base(Words, inner)
    {
    }
}
