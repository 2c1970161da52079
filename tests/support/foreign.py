"""Requests of OpenTelemetry SDKs in other languages, byte for byte, as their exporters sent them.

Go: otlptracehttp 1.45.0, with gzip. Node.js: exporter-trace-otlp-proto and -http 0.223.1. Recorded on 26 November 2026;
`{port}` is in the place of the port.
"""

import base64

REQUESTS = {
    "Go, gzip": base64.b64decode(
        "UE9TVCAvdjEvdHJhY2VzIEhUVFAvMS4xDQpIb3N0OiAxMjcuMC4wLjE6e3BvcnR9DQpVc2VyLUFnZW50OiBPVGVsIE9UTFAgRXhwb3J0ZXIg"
        "R28vMS40NS4wDQpUcmFuc2Zlci1FbmNvZGluZzogY2h1bmtlZA0KQ29udGVudC1FbmNvZGluZzogZ3ppcA0KQ29udGVudC1UeXBlOiBhcHBs"
        "aWNhdGlvbi94LXByb3RvYnVmDQpBY2NlcHQtRW5jb2Rpbmc6IGd6aXANCg0KMjFmDQofiwgAAAAAAAD/jJHBaxNBFMazSV2T11iSsYUkVRoH"
        "NRCaNWBBEoRQkR4WQVBEsIawbp6bIcnMujNb0pZSFEToTTx49OJBxIPgQQ/9O4wgFM/mpuDBk+xmTVOo4B525y0fv5nvN/BRh0XIQ1qit8Fs"
        "NLjVR5KCk46oyI5wyUsddJgJlz/jkNkbzQ7b7+6c34NPn18bL/ZJsnTj+6UPa/nHNLn/++v7oRg+K2fsjqWKjqsqK6LSZ5xVE7WDXGm38maU"
        "W105M16YS7DgIG9ZzBAuepZigo9312EmAJgXYD4KePjIR6mMvmhjj5yC2Sm2uQT5KOZLy0GDcddXLSW6yCWJ59JmEQpHAsJXRxIJcx5mekwq"
        "ki4DJECzgtcDk8CJ8FgkdS4WPt8aZgoSmyhJPKOZzcn5wx2NPsoAL8l1uLa+TT3RQ1qnvkSPLlPX8pSk9fVtqjbd4L/CgaLL1BZcIVe0Tu92"
        "mN0pKrQadKe509yKPdU0LRYjT461/uvLlZu7a6O3U9azOEDbV9hSQvSKDxlvV7XarcuRdtGItJf+pX0O0tMEswCZKBiMk6sJwPfup15dHfNI"
        "Cgc2ugGmUIK5yWAEPckCnC6j5wlPGuHntvIYdwpnIXsYjLyRJOhcBAK2gESrXDyS8Fw7TsJhdcY3RBdbloNcFdsou1Wtpv+4OK5+sPof1acJ"
        "5iJko2A4T7oH5L8X8ycAAP//uUEnEDoDAAANCjANCg0K"
    ),
    "Node.js, protobuf": base64.b64decode(
        "UE9TVCAvdjEvdHJhY2VzIEhUVFAvMS4xDQpDb250ZW50LVR5cGU6IGFwcGxpY2F0aW9uL3gtcHJvdG9idWYNClVzZXItQWdlbnQ6IE9UZWwt"
        "T1RMUC1FeHBvcnRlci1KYXZhU2NyaXB0LzAuMjIzLjENCkhvc3Q6IDEyNy4wLjAuMTp7cG9ydH0NCkNvbm5lY3Rpb246IGtlZXAtYWxpdmUN"
        "ClRyYW5zZmVyLUVuY29kaW5nOiBjaHVua2VkDQoNCjJkNw0KCtQFCiAKHAoMc2VydmljZS5uYW1lEgwKCm5vZGUtcHJvdG8QABKvBQoDCgF0"
        "EvUDChBH6jbhmdae2kBFZTzRXsYREggrjuV1hrZc+CIIhEROGLMfgj0qEGNoYXQgZ3B0LTRvLW1pbmkwATkA8gw6M6jrGEEsrBI6M6jrGEof"
        "ChVnZW5fYWkub3BlcmF0aW9uLm5hbWUSBgoEY2hhdEolChRnZW5fYWkucmVxdWVzdC5tb2RlbBINCgtncHQtNG8tbWluaUofChlnZW5fYWku"
        "dXNhZ2UuaW5wdXRfdG9rZW5zEgIYDEogChpnZW5fYWkudXNhZ2Uub3V0cHV0X3Rva2VucxICGANKEgoFcmF0aW8SCSEAAAAAAADgP0oUCgRs"
        "aXN0EgwqCgoDCgFhCgMKAWJKCQoDeWVzEgIQAUplChVnZW5fYWkuaW5wdXQubWVzc2FnZXMSTApKW3sicm9sZSI6InVzZXIiLCJwYXJ0cyI6"
        "W3sidHlwZSI6InRleHQiLCJjb250ZW50IjoiV2hpY2ggdGVhPyDDqSDwn421In1dfV1QAFoaCYHOEDozqOsYEgR0aWNrGgcKAW4SAhgBIABa"
        "Tgk3dxE6M6jrGBIJZXhjZXB0aW9uGhkKDmV4Y2VwdGlvbi50eXBlEgcKBUVycm9yGhsKEWV4Y2VwdGlvbi5tZXNzYWdlEgYKBGJvb20gAGAA"
        "cAB6CBIEYm9vbRgChQEBAQAAEq8BChBH6jbhmdae2kBFZTzRXsYREgiERE4Ysx+CPSoRaW52b2tlX2FnZW50IGRlc2swATmAbe45M6jrGEFW"
        "WBM6M6jrGEonChVnZW5fYWkub3BlcmF0aW9uLm5hbWUSDgoMaW52b2tlX2FnZW50ShsKEWdlbl9haS5hZ2VudC5uYW1lEgYKBGRlc2tKFAoK"
        "c2Vzc2lvbi5pZBIGCgRhbm5hUABgAHAAegIYAIUBAQEAAA0KMA0KDQo="
    ),
    "Node.js, JSON": base64.b64decode(
        "UE9TVCAvdjEvdHJhY2VzIEhUVFAvMS4xDQpDb250ZW50LVR5cGU6IGFwcGxpY2F0aW9uL2pzb24NClVzZXItQWdlbnQ6IE9UZWwtT1RMUC1F"
        "eHBvcnRlci1KYXZhU2NyaXB0LzAuMjIzLjENCkhvc3Q6IDEyNy4wLjAuMTp7cG9ydH0NCkNvbm5lY3Rpb246IGtlZXAtYWxpdmUNClRyYW5z"
        "ZmVyLUVuY29kaW5nOiBjaHVua2VkDQoNCjdkNQ0KeyJyZXNvdXJjZVNwYW5zIjpbeyJyZXNvdXJjZSI6eyJhdHRyaWJ1dGVzIjpbeyJrZXki"
        "OiJzZXJ2aWNlLm5hbWUiLCJ2YWx1ZSI6eyJzdHJpbmdWYWx1ZSI6Im5vZGUtanNvbiJ9fV0sImRyb3BwZWRBdHRyaWJ1dGVzQ291bnQiOjB9"
        "LCJzY29wZVNwYW5zIjpbeyJzY29wZSI6eyJuYW1lIjoidCJ9LCJzcGFucyI6W3sidHJhY2VJZCI6ImY4MzZiMDZmYzUyYTE2MmU0NDdkZjBm"
        "MjNjMWI0ZjdhIiwic3BhbklkIjoiNWU3NmE2NGM4Njc3YzVjOCIsInBhcmVudFNwYW5JZCI6ImU1ZGJhZDk4MmE3MjA5ZTciLCJuYW1lIjoi"
        "Y2hhdCBncHQtNG8tbWluaSIsImtpbmQiOjEsInN0YXJ0VGltZVVuaXhOYW5vIjoiMTc5NTcxMzgxODkwMTAwMDAwMCIsImVuZFRpbWVVbml4"
        "TmFubyI6IjE3OTU3MTM4MTg5MDEyMDA3OTgiLCJhdHRyaWJ1dGVzIjpbeyJrZXkiOiJnZW5fYWkub3BlcmF0aW9uLm5hbWUiLCJ2YWx1ZSI6"
        "eyJzdHJpbmdWYWx1ZSI6ImNoYXQifX0seyJrZXkiOiJnZW5fYWkucmVxdWVzdC5tb2RlbCIsInZhbHVlIjp7InN0cmluZ1ZhbHVlIjoiZ3B0"
        "LTRvLW1pbmkifX0seyJrZXkiOiJnZW5fYWkudXNhZ2UuaW5wdXRfdG9rZW5zIiwidmFsdWUiOnsiaW50VmFsdWUiOjEyfX0seyJrZXkiOiJn"
        "ZW5fYWkudXNhZ2Uub3V0cHV0X3Rva2VucyIsInZhbHVlIjp7ImludFZhbHVlIjozfX0seyJrZXkiOiJyYXRpbyIsInZhbHVlIjp7ImRvdWJs"
        "ZVZhbHVlIjowLjV9fSx7ImtleSI6Imxpc3QiLCJ2YWx1ZSI6eyJhcnJheVZhbHVlIjp7InZhbHVlcyI6W3sic3RyaW5nVmFsdWUiOiJhIn0s"
        "eyJzdHJpbmdWYWx1ZSI6ImIifV19fX0seyJrZXkiOiJ5ZXMiLCJ2YWx1ZSI6eyJib29sVmFsdWUiOnRydWV9fSx7ImtleSI6Imdlbl9haS5p"
        "bnB1dC5tZXNzYWdlcyIsInZhbHVlIjp7InN0cmluZ1ZhbHVlIjoiW3tcInJvbGVcIjpcInVzZXJcIixcInBhcnRzXCI6W3tcInR5cGVcIjpc"
        "InRleHRcIixcImNvbnRlbnRcIjpcIldoaWNoIHRlYT8gw6kg8J+NtVwifV19XSJ9fV0sImRyb3BwZWRBdHRyaWJ1dGVzQ291bnQiOjAsImV2"
        "ZW50cyI6W3siYXR0cmlidXRlcyI6W3sia2V5IjoibiIsInZhbHVlIjp7ImludFZhbHVlIjoxfX1dLCJuYW1lIjoidGljayIsInRpbWVVbml4"
        "TmFubyI6IjE3OTU3MTM4MTg5MDExMTQwMTMiLCJkcm9wcGVkQXR0cmlidXRlc0NvdW50IjowfSx7ImF0dHJpYnV0ZXMiOlt7ImtleSI6ImV4"
        "Y2VwdGlvbi50eXBlIiwidmFsdWUiOnsic3RyaW5nVmFsdWUiOiJFcnJvciJ9fSx7ImtleSI6ImV4Y2VwdGlvbi5tZXNzYWdlIiwidmFsdWUi"
        "Onsic3RyaW5nVmFsdWUiOiJib29tIn19XSwibmFtZSI6ImV4Y2VwdGlvbiIsInRpbWVVbml4TmFubyI6IjE3OTU3MTM4MTg5MDExNDE1NjMi"
        "LCJkcm9wcGVkQXR0cmlidXRlc0NvdW50IjowfV0sImRyb3BwZWRFdmVudHNDb3VudCI6MCwic3RhdHVzIjp7ImNvZGUiOjIsIm1lc3NhZ2Ui"
        "OiJib29tIn0sImxpbmtzIjpbXSwiZHJvcHBlZExpbmtzQ291bnQiOjAsImZsYWdzIjoyNTd9LHsidHJhY2VJZCI6ImY4MzZiMDZmYzUyYTE2"
        "MmU0NDdkZjBmMjNjMWI0ZjdhIiwic3BhbklkIjoiZTVkYmFkOTgyYTcyMDllNyIsIm5hbWUiOiJpbnZva2VfYWdlbnQgZGVzayIsImtpbmQi"
        "OjEsInN0YXJ0VGltZVVuaXhOYW5vIjoiMTc5NTcxMzgxODkwMDAwMDAwMCIsImVuZFRpbWVVbml4TmFubyI6IjE3OTU3MTM4MTg5MTk0NzM5"
        "MTciLCJhdHRyaWJ1dGVzIjpbeyJrZXkiOiJnZW5fYWkub3BlcmF0aW9uLm5hbWUiLCJ2YWx1ZSI6eyJzdHJpbmdWYWx1ZSI6Imludm9rZV9h"
        "Z2VudCJ9fSx7ImtleSI6Imdlbl9haS5hZ2VudC5uYW1lIiwidmFsdWUiOnsic3RyaW5nVmFsdWUiOiJkZXNrIn19LHsia2V5Ijoic2Vzc2lv"
        "bi5pZCIsInZhbHVlIjp7InN0cmluZ1ZhbHVlIjoiYW5uYSJ9fV0sImRyb3BwZWRBdHRyaWJ1dGVzQ291bnQiOjAsImV2ZW50cyI6W10sImRy"
        "b3BwZWRFdmVudHNDb3VudCI6MCwic3RhdHVzIjp7ImNvZGUiOjB9LCJsaW5rcyI6W10sImRyb3BwZWRMaW5rc0NvdW50IjowLCJmbGFncyI6"
        "MjU3fV19XX1dfQ0KMA0KDQo="
    ),
}
